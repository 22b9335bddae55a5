// The suite of a rail on the Tempo rail, with a chain of its own: sent by the server, sent by the buyer, and at the server's cost.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { OnceMethod } from '@mppkit/core'
import { tempo as buying } from '@mppkit/tempo/client'
import { tempo as selling } from '@mppkit/tempo/server'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, vi } from 'vitest'
import { startTempo } from '../../packages/testing/src/anvil.ts'
import { testMethod } from '../../packages/testing/src/lib/test-method.ts'
import type { RailUnderTest } from '../../packages/testing/src/lib/test-method-bench.ts'

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
const till = privateKeyToAccount(chain.accounts[1]!.privateKey as `0x${string}`)
const purse = privateKeyToAccount(chain.accounts[2]!.privateKey as `0x${string}`)
const rich = 100_000_000n

testMethod('tempo, sent by the server', () => open({ modes: ['pull'] }))
testMethod('tempo, sent by the server, with a memo of the seller', () =>
  open({ memo: `0x${'5e'.repeat(32)}` }),
)
testMethod('tempo, sent by the buyer', () => open({ modes: ['push'] }))
testMethod('tempo, at the cost of the server', () => open({ feePayer: { account: purse } }))

async function open(options: Partial<Parameters<typeof selling.charge>[0]>): Promise<RailUnderTest> {
  await grow()
  // Its fee in another token: what the recipient has got is counted.
  const refund = { account: till, feeToken: '0x20c0000000000000000000000000000000000001' }
  const method = selling.charge({ recipient: merchant, ...at, refund, ...options })
  const isPushed = options.modes?.[0] === 'push'

  async function wallet(funds: bigint, over: { rpcUrl?: string } = {}) {
    const account = privateKeyToAccount(generatePrivateKey())
    if (funds > 0n) await chain.fund(account.address, funds)
    return buying.charge({ account, ...at, ...(isPushed && { mode: 'push' }), ...over })
  }

  return {
    method: method as OnceMethod<never>,
    wallet: () => wallet(rich),
    // A buyer that looks refuses by itself. One that does not is refused by a server that looks, which it does where it pays the fee;
    // else only the chain can tell, and it is open until the transaction has lost its validity.
    poorWallet: () => wallet(0n, options.feePayer && { rpcUrl: gate.blindUrl }),
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

/** A way to the node that can be closed for the next broadcast; what comes by `blindUrl` cannot try anything out beforehand. */
async function startGate(target: string) {
  let next: { reached(): void; opened: Promise<void> } | undefined

  async function answer(path: string, body: string): Promise<string> {
    if (path === '/blind' && body.includes('"eth_simulateV1"'))
      return JSON.stringify({ jsonrpc: '2.0', id: 1, error: { code: -32601, message: 'Method not found' } })
    if (next && body.includes('"eth_sendRawTransaction')) {
      const { reached, opened } = next
      next = undefined
      reached()
      await opened
    }
    const headers = { 'content-type': 'application/json' }
    return (await fetch(target, { method: 'POST', headers, body })).text()
  }

  const server = createServer((request, response) => {
    text(request)
      .then((body) => answer(request.url!, body))
      .then(
        (told) => response.writeHead(200, { 'content-type': 'application/json' }).end(told),
        () => request.socket.destroy(),
      )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  return {
    url,
    blindUrl: `${url}/blind`,
    hold() {
      let thaw!: () => void
      const opened = new Promise<void>((resolve) => (thaw = resolve))
      const frozen = new Promise<void>((resolve) => (next = { reached: resolve, opened }))
      return { frozen, thaw }
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
