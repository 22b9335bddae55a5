import type { Gates } from '@mppkit/server'
import { privateKeyToAccount } from 'viem/accounts'
import { groupBy, type Debit, type Evidence, type Refund, type Said } from './audit.ts'
import type { FaultLine, Got, HandlerLine, JournalLine, MoveLine } from './lines.ts'
import type { Plan } from './plan.ts'
import { SHOP } from './rails.ts'
import { filesOf, readLines, type Settings } from './settings.ts'

/** Collects what buyers, handlers, ledger, chain and server have to say: from disk, from the chain, from the store. */
export async function collect(
  settings: Settings,
  gates: Pick<Gates, 'trace' | 'unclaimed'>,
): Promise<Evidence> {
  const { folder, attempts, chain } = settings
  const files = filesOf(folder)
  const journal = readLines<JournalLine>(files.journal)
  const pays = journal.flatMap((line) => (line.t === 'pay' ? [line] : []))
  const said = new Map<string, Said>()
  const refundOf = new Map<string, string>()
  for (const { quote } of pays) {
    const trace = await gates.trace(quote)
    if (!trace) continue
    said.set(quote, trace)
    if (trace.refund) refundOf.set(trace.refund.reference, quote)
  }
  const listed = new Set<string>()
  for await (const { id } of gates.unclaimed()) listed.add(id)
  const payOf = new Map(pays.map((pay) => [pay.challenge, pay]))
  const debits: Debit[] = []
  const refunds: Refund[] = []
  for (const move of readLines<MoveLine>(files.ledger)) {
    if (move.from === SHOP) refunds.push({ name: move.id, quote: move.id.replace(`${SHOP}:refund-`, '') })
    else debits.push(toyDebit(move))
  }
  if (chain) {
    const callOf = new Map(pays.map((pay) => [pay.debit, pay]))
    for (const { hash, from } of await transfers(chain)) {
      if (from === 'shop') refunds.push({ name: hash, quote: refundOf.get(hash) })
      else
        debits.push({
          name: hash,
          rail: 'tempo',
          call: callOf.get(hash)?.call,
          quote: callOf.get(hash)?.quote,
        })
    }
  }
  return {
    plans: journal.flatMap((line): Plan[] => (line.t === 'call' ? [line] : [])),
    signed: new Map(pays.map(({ quote, call }) => [quote, call])),
    got: groupBy(
      journal.flatMap((line): (Got & { call: string })[] => (line.t === 'got' ? [line] : [])),
      ({ call }) => call,
    ),
    handlers: readLines<HandlerLine>(files.handlers),
    faults: readLines<FaultLine>(files.faults),
    debits,
    refunds,
    said,
    listed,
    attempts,
    returning: new Set(['toy', 'ref', 'push', ...(chain?.refunds ? ['tempo'] : [])]),
  }

  /** An account of a buyer is named after his call, the memo after the challenge. */
  function toyDebit({ id, from, memo = '' }: MoveLine): Debit {
    const pay = payOf.get(memo)
    return { name: id, rail: pay?.rail ?? 'toy', call: from.replace(/^b-/, ''), quote: pay?.quote }
  }
}

const TRANSFER = '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef'
const PATH_USD = '0x20c0000000000000000000000000000000000000'
/** Whose transfers are fees. */
const FEES = '0xfeec000000000000000000000000000000000000'

interface Log {
  transactionHash: string
  topics: string[]
  data: string
}

/** Transfers to and from the shop that are no fees and no endowment. */
async function transfers({
  url,
  shop,
}: NonNullable<Settings['chain']>): Promise<{ hash: string; from: 'shop' | 'buyer' }[]> {
  const own = wordOf(privateKeyToAccount(shop).address)
  const found: { hash: string; from: 'shop' | 'buyer' }[] = []
  for (const topics of [
    [TRANSFER, null, own],
    [TRANSFER, own],
  ]) {
    const filter = { fromBlock: '0x0', toBlock: 'latest', address: PATH_USD, topics }
    for (const { transactionHash, topics: words, data } of await rpc<Log[]>(url, 'eth_getLogs', [filter])) {
      const isOurs = words[1] === own
      if (words[2] === wordOf(FEES) || words[1] === wordOf(FEES)) continue
      if (!isOurs && BigInt(data) === 100_000_000n) continue
      found.push({ hash: transactionHash.toLowerCase(), from: isOurs ? 'shop' : 'buyer' })
    }
  }
  return found
}

function wordOf(address: string): string {
  return `0x${address.slice(2).toLowerCase().padStart(64, '0')}`
}

async function rpc<Result>(url: string, method: string, params: unknown[]): Promise<Result> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  })
  const { result, error } = (await response.json()) as { result: Result; error?: { message: string } }
  if (error) throw new Error(`${method}: ${error.message}`)
  return result
}
