// The suite of a rail on the Tempo rail, with a chain of its own: sent by the server, sent by the buyer, and at the server's cost.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { OnceMethod } from '@mppkit/core'
import { tempo as buying } from '@mppkit/tempo/client'
import { tempo as selling } from '@mppkit/tempo/server'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, vi } from 'vitest'
import { startTempo } from '../../packages/testing/src/anvil.ts'
import { testMethod } from '../../packages/testing/src/test-method.ts'
import type { RailUnderTest } from '../../packages/testing/src/test-method-bench.ts'

const chain = await startTempo()
const gate = await startGate(chain.url)
const realNow = Date.now
let ahead = 0
// Every machine goes by the time of the chain: a buyer does not sign for a server whose clock is far ahead of its own.
vi.spyOn(Date, 'now').mockImplementation(() => realNow() + ahead)
afterAll(async () => {
  vi.restoreAllMocks()
  await gate.close()
  await chain.stop()
})

const at = { chainId: chain.chainId, rpcUrl: gate.url }
const merchant = chain.accounts[1]!.address
const purse = privateKeyToAccount(chain.accounts[2]!.privateKey as `0x${string}`)
const poor = 0n
const rich = 100_000_000n

testMethod('tempo, sent by the server', () => open({ modes: ['pull'] }))
testMethod('tempo, sent by the server, with a memo of the seller', () =>
  open({ memo: `0x${'5e'.repeat(32)}` }),
)
testMethod('tempo, sent by the buyer', () => open({ modes: ['push'] }))
testMethod('tempo, at the cost of the server', () => open({ feePayer: { account: purse } }))

async function open(options: Partial<Parameters<typeof selling.charge>[0]>): Promise<RailUnderTest> {
  await grow()
  const method = selling.charge({ recipient: merchant, ...at, ...options })
  const isPushed = options.modes?.[0] === 'push'

  async function wallet(funds: bigint) {
    const account = privateKeyToAccount(generatePrivateKey())
    if (funds > 0n) await chain.fund(account.address, funds)
    return buying.charge({ account, ...at, ...(isPushed && { mode: 'push' }) })
  }

  return {
    method: method as OnceMethod<never>,
    wallet: () => wallet(rich),
    poorWallet: () => wallet(poor),
    terms: { amount: '1.25' },
    otherRecipient: chain.accounts[3]!.address,
    received: () => chain.balance(merchant),
    now: () => Date.now(),
    advance,
    ...(!isPushed && { freeze: () => gate.hold() }),
  }
}

async function advance(seconds: number): Promise<void> {
  await chain.rpc('evm_increaseTime', [seconds])
  await chain.mine()
  ahead += seconds * 1000
}

/** Transactions of long ago: from a node that knows of none, "not found" does not mean "never happened". */
async function grow(): Promise<void> {
  await Promise.all(Array.from({ length: 60 }, () => chain.fund(chain.accounts[4]!.address, 1n)))
  await advance(300)
}

/** A way to the node that can be closed for the next broadcast. */
async function startGate(target: string) {
  let next: { reached(): void; opened: Promise<void> } | undefined

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    if (next && body.includes('"eth_sendRawTransaction')) {
      const { reached, opened } = next
      next = undefined
      reached()
      await opened
    }
    try {
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(target, { method: 'POST', headers, body })
      response.writeHead(answer.status, headers).end(await answer.text())
    } catch {
      request.socket.destroy()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hold() {
      const [reaching, opening] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
      next = { reached: reaching.resolve, opened: opening.promise }
      return { frozen: reaching.promise, thaw: opening.resolve }
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
