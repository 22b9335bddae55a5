import { createServer } from 'node:http'
import { createToyLedger, ToyRefusal, type ToyOrder } from '@mppkit/testing/toy'
import { note } from './settings.ts'

/** The toy rail's ledger, in a process of its own that no fault touches. Writes each movement down when it happens. */
const [file = ''] = process.argv.slice(2)
const books = createToyLedger()
const written = new Set<string>()
const known = new Set<string>()

async function answer(path: string, ask: Record<string, string>): Promise<object> {
  const { id = '', from = '' } = ask
  // Every buyer has an account of his own, with enough in it for ten payments.
  if (from.startsWith('b-') && !known.has(from)) {
    known.add(from)
    await books.fund(from, 1000n)
  }
  if (path === '/balance') return { balance: (await books.balance(from)).toString() }
  if (path === '/find') return { outcome: plain(await books.find(id, from)) }
  if (path === '/cancel') return { outcome: plain(await books.cancel(id, from)) }
  const { to = '', amount = '', until, memo } = ask
  const order: ToyOrder = { id, from, to, amount: BigInt(amount) }
  if (until !== undefined) order.until = Number(until)
  if (memo !== undefined) order.memo = memo
  try {
    const moved = await books.transfer(order)
    if (!written.has(id)) {
      written.add(id)
      note(file, { ...moved, amount: moved.amount.toString() })
    }
    return { outcome: plain(moved) }
  } catch (error) {
    if (error instanceof ToyRefusal) return { refused: error.reason }
    throw error
  }
}

function plain(outcome: Awaited<ReturnType<typeof books.find>>): unknown {
  return typeof outcome === 'object' ? { ...outcome, amount: outcome.amount.toString() } : (outcome ?? null)
}

const server = createServer((request, response) => {
  let text = ''
  request.setEncoding('utf8')
  request.on('data', (chunk: string) => void (text += chunk))
  request.on('error', () => {})
  request.on('end', () => {
    answer(request.url ?? '', JSON.parse(text) as Record<string, string>).then(
      (said) => response.setHeader('content-type', 'application/json').end(JSON.stringify(said)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  })
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.send?.({ port: typeof address === 'object' ? address?.port : 0 })
})
process.on('disconnect', () => process.exit(0))
