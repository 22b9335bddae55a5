import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { formatCredential, parseCredential, PaymentError, type Store } from '@mppkit/core'
import { memoryStore } from '@mppkit/server'
import { describe, expect, test, vi } from 'vitest'
import { paymentsQueue } from '../src/lib/queues.ts'
import { proofKey } from '../src/lib/record.ts'
import { openCounter, type Point, type TradeName } from './lib/counter.ts'
import {
  buy,
  drive,
  fakeClock,
  persist,
  PRICE,
  seller,
  type Reply,
  type SellerOptions,
  all,
} from './lib/harness.ts'
import { deferred, freezer } from './lib/points.ts'

/** Two instances on one store, one ledger and one clock. */
async function pair(options: SellerOptions = {}) {
  const clock = fakeClock()
  const ice = freezer()
  const first = seller({ now: clock.now, probe: ice.probe, ...options })
  const second = seller({ now: clock.now, store: first.store, ledger: first.ledger, ...options })
  await first.fund()
  return { clock, ice, first, second, gates: [first.charge(PRICE), second.charge(PRICE)] as const }
}

function wait(answer: Reply): [number, string | undefined] {
  return [answer.status, answer.header('retry-after')]
}

test('A2, rules 5 6, C7: frozen between note and broadcast, taken over, thawed: one movement, and the first runs no handler', async () => {
  const { clock, first, gates } = await pair({ toy: { notes: 'settle' } })
  const ask = await buy(first, gates[0])
  let starts = 0
  const handler = () => (starts++, {})
  first.faults.next('settle', 'stall')
  const running = drive(gates[0], ask, handler)
  await first.faults.stalled()
  expect(wait(await drive(gates[1], ask, handler))).toEqual([409, '1'])
  clock.advance(31_000)
  expect((await drive(gates[1], ask, handler)).status).toBe(200)
  first.faults.release()
  expect(wait(await running)).toEqual([409, '1'])
  expect(starts).toBe(1)
  expect((await first.ledger.transfers()).length).toBe(1)
  expect((await drive(gates[0], ask, handler)).status).toBe(402)
})

test('A2, rule 6: frozen between note and broadcast; recovery may not call it "not moved" while the order can still be carried out', async () => {
  const { clock, first, second, gates } = await pair({ toy: { notes: 'settle' } })
  const { challenges } = await drive(gates[0])
  const [ask, other] = [await first.wallet.pay(challenges[0]!), await first.wallet.pay(challenges[0]!)].map(
    (authorization) => ({ headers: { authorization } }),
  )
  first.faults.next('settle', 'stall')
  const running = drive(gates[0], ask)
  await first.faults.stalled()
  clock.advance(61_000)
  await second.recover()
  // Another credential for the quote is not welcome: the first may still move its money.
  expect(wait(await drive(gates[1], other))).toEqual([409, undefined])
  first.faults.release()
  await running
  expect((await drive(gates[1], ask)).status).toBe(200)
  expect((await first.ledger.transfers()).length).toBe(1)
})

test('A2, rule 6: frozen past the order\'s end, recovered as "can never move", thawed: the money stays where it is', async () => {
  const { clock, first, second, gates } = await pair({ toy: { notes: 'settle' } })
  const ask = await buy(first, gates[0])
  first.faults.next('settle', 'stall')
  const running = drive(gates[0], ask)
  await first.faults.stalled()
  clock.advance(400_000)
  await second.recover()
  expect((await drive(gates[1], ask)).status).toBe(402)
  first.faults.release()
  // It lost its lease, so it has nothing to say about the money; whoever asks again is told.
  expect(wait(await running)).toEqual([409, '1'])
  expect((await drive(gates[0], ask)).status).toBe(402)
  expect(await first.ledger.transfers()).toEqual([])
})

test.each(['claimed', 'proof-claimed', 'key-claimed'] as const)(
  'rules 4 5, A3: frozen at %s without a note; recovery clears it, the buyer pays, the thawed one stops',
  async (point) => {
    const { clock, ice, first, second, gates } = await pair({ toy: { notes: 'settle' } })
    const ask = await buy(first, gates[0], { headers: { 'idempotency-key': 'k' } })
    ice.freeze(point)
    let late = 0
    const running = drive(gates[0], ask, () => (late++, {}))
    await ice.frozen()
    clock.advance(61_000)
    await second.recover()
    expect((await drive(gates[1], ask)).status).toBe(200)
    ice.thaw()
    expect((await running).status).not.toBe(200)
    expect(late).toBe(0)
    expect((await first.ledger.transfers()).length).toBe(1)
  },
)

test('rule 5, C7: frozen in the handler past the lease: redeemed elsewhere, and the late end of the first is not written', async () => {
  const { clock, first, gates } = await pair()
  const ask = await buy(first, gates[0])
  const started = deferred<AbortSignal>()
  const go = deferred()
  const running = drive(gates[0], ask, async (grant) => {
    started.resolve(grant!.payment.signal)
    await go.promise
    return { status: 500, reached: 'all' }
  })
  const signal = await started.promise
  expect(wait(await drive(gates[1], ask))).toEqual([409, '1'])
  clock.advance(31_000)
  let attempt = 0
  expect((await drive(gates[1], ask, (grant) => ((attempt = grant!.payment.attempt), {}))).status).toBe(200)
  expect(attempt).toBe(2)
  go.resolve()
  expect((await running).status).toBe(500)
  expect(signal.aborted).toBe(true)
  expect((await drive(gates[0], ask)).status).toBe(402)
})

test("rules 4 5: a rail that refuses after the payment was taken over does not take the new owner's claims away", async () => {
  const { clock, first, gates } = await pair()
  const ask = await buy(first, gates[0])
  const started = deferred()
  const go = deferred()
  first.toy.settle = async () => {
    started.resolve()
    await go.promise
    throw new PaymentError('verification-failed', 'declined, says a rail that lags behind')
  }
  const running = drive(gates[0], ask)
  await started.promise
  clock.advance(31_000)
  expect((await drive(gates[1], ask)).status).toBe(200)
  go.resolve()
  expect(wait(await running)).toEqual([409, '1'])
  const { payload } = parseCredential(ask.headers!['authorization']!.slice('Payment '.length))
  const { from, nonce } = payload as { from: string; nonce: string }
  expect(await first.store.get(proofKey('toy', `${from}:${nonce}`))).toBeDefined()
  expect((await drive(gates[1], ask)).status).toBe(402)
})

test('rules 5 8: recovery leaves alone what is under way, however long past `within`', async () => {
  const { clock, first, second } = await pair()
  const gate = first.charge({ ...PRICE, redeem: { within: '1s' } })
  const ask = await buy(first, gate)
  const answer = await drive(gate, ask, async () => {
    clock.advance(20_000)
    await second.recover()
    return {}
  })
  expect(answer.status).toBe(200)
  expect((await drive(gate, ask)).status).toBe(402)
})

test('A3, rule 4: death between the claims of quote and proof; the proof then pays another quote, and only that one', async () => {
  const { clock, ice, first, second, gates } = await pair({ toy: { moves: 'before' } })
  const { challenges: one } = await drive(gates[0])
  const { challenges: two } = await drive(gates[0])
  // A transfer without a memo fits both.
  await first.ledger.transfer({ id: 'alice:hash', from: 'alice', to: 'shop', amount: 100n })
  const asks = [one, two].map(([challenge]) => ({
    headers: {
      authorization: formatCredential({ challenge: challenge!, payload: { transfer: 'alice:hash' } }),
    },
  }))
  ice.freeze('claimed')
  void drive(gates[0], asks[0])
  await ice.frozen()
  expect((await drive(gates[1], asks[1])).status).toBe(200)
  clock.advance(31_000)
  const first_ = await drive(gates[1], asks[0])
  expect([first_.status, first_.problem.type]).toEqual([402, expect.stringMatching(/verification-failed$/)])
  clock.advance(61_000)
  await second.recover()
  ice.thaw()
  expect((await drive(gates[1], asks[0])).status).toBe(402)
})

test('A3, rule 4: the same, and nobody asks for the first quote again: recovery does not count the transfer twice', async () => {
  const { clock, ice, first, second, gates } = await pair({ toy: { moves: 'before' } })
  const { challenges: one } = await drive(gates[0])
  const { challenges: two } = await drive(gates[0])
  await first.ledger.transfer({ id: 'alice:hash', from: 'alice', to: 'shop', amount: 100n })
  const asks = [one, two].map(([challenge]) => ({
    headers: {
      authorization: formatCredential({ challenge: challenge!, payload: { transfer: 'alice:hash' } }),
    },
  }))
  ice.freeze('claimed')
  void drive(gates[0], asks[0])
  await ice.frozen()
  expect((await drive(gates[1], asks[1])).status).toBe(200)
  for (let hour = 0; hour < 26; hour++) {
    clock.advance(3_600_000)
    await second.recover()
  }
  expect(await all(first.unclaimed())).toEqual([])
  expect(await first.store.due(paymentsQueue('api.example.com'), 10)).toEqual([])
})

test('A3, rule 4: death after the claim of the proof; another quote with it is told to send the first credential', async () => {
  const { clock, ice, first, gates } = await pair({ toy: { moves: 'before' } })
  const { challenges: one } = await drive(gates[0])
  const { challenges: two } = await drive(gates[0])
  await first.ledger.transfer({ id: 'alice:hash', from: 'alice', to: 'shop', amount: 100n })
  const asks = [one, two].map(([challenge]) => ({
    headers: {
      authorization: formatCredential({ challenge: challenge!, payload: { transfer: 'alice:hash' } }),
    },
  }))
  ice.freeze('proof-claimed')
  void drive(gates[0], asks[0])
  await ice.frozen()
  clock.advance(31_000)
  const other = await drive(gates[1], asks[1])
  expect(wait(other)).toEqual([409, undefined])
  expect(other.problem.detail).toContain(one[0]!.id)
  expect((await drive(gates[1], asks[0])).status).toBe(200)
  expect((await drive(gates[1], asks[1])).status).toBe(402)
})

describe.skipIf(!existsSync('/proc/self/stat'))(
  'rules 5 6, C7: SIGSTOP past the lease, taken over, SIGCONT',
  () => {
    const stops: [TradeName, Point][] = [
      ['parse', 'claimed'],
      ['parse', 'broadcast-sent'],
      ['settle', 'noted'],
      ['settle', 'broadcast-sent'],
      ['parse', 'broadcast-acked'],
      ['push', 'proof-claimed'],
    ]

    test.each(stops)(
      'on the %s rail at %s',
      async (trade, point) => {
        const folder = mkdtempSync(join(tmpdir(), 'mppkit-stop-'))
        const shop = openCounter(folder, trade)
        await shop.fund()
        const ask = await buy(shop, shop.gate)
        writeFileSync(join(folder, 'ask'), JSON.stringify(ask))
        const script = fileURLToPath(new URL('lib/mortal.ts', import.meta.url))
        const child = spawn(process.execPath, [script, folder, trade, point, 'SIGSTOP'], { stdio: 'ignore' })
        const ended = new Promise((resolve) => child.on('close', resolve))
        await vi.waitUntil(() => stateOf(child.pid!) === 'T', { timeout: 50_000, interval: 10 })
        shop.advance(31_000)
        const answer = await persist(shop.gate, ask, shop.advance, () => shop.handler())
        expect(answer.status).toBe(200)
        child.kill('SIGCONT')
        await ended
        expect(JSON.parse(readFileSync(join(folder, 'reply'), 'utf8'))).toEqual({ status: 409, retry: '1' })
        expect(shop.starts()).toBe(1)
        expect((await shop.ledger.transfers()).length).toBe(1)
        expect((await drive(shop.gate, ask)).status).toBe(402)
        shop.close()
        rmSync(folder, { recursive: true, force: true })
      },
      60_000,
    )
  },
)

/** `T`: stopped. */
function stateOf(pid: number): string | undefined {
  const file = `/proc/${pid}/stat`
  if (!existsSync(file)) return undefined
  const text = readFileSync(file, 'utf8')
  return text.slice(text.lastIndexOf(')') + 2, text.lastIndexOf(')') + 3)
}

test('rule 4, C9: a proof claim that was refused, by somebody who is gone when the store looks who it was, is claimed again', async () => {
  const inner = memoryStore()
  const ice = freezer()
  const [refused, go] = [deferred(), deferred()]
  let isWatched = false
  const store: Store = {
    ...inner,
    // As a store of two statements does it: one refuses, the next one looks who stands there.
    async swap(key, expect, next) {
      const result = await inner.swap(key, expect, next)
      if (!isWatched || result.ok || !key.startsWith('proof:')) return result
      isWatched = false
      refused.resolve()
      await go.promise
      const entry = await inner.get(key)
      return entry ? { ok: false, entry } : { ok: false }
    },
  }
  const shop = seller({ store, now: Date.now, probe: ice.probe })
  await shop.fund()
  // A proof that is tied to no challenge, like a plain transfer that somebody has signed.
  shop.toy.verify = async () => ({ payer: 'alice' })
  shop.toy.settle = async ({ key }, { challenge }) => {
    const { id } = await shop.ledger.transfer({ id: key, from: 'alice', to: 'shop', amount: 100n })
    const timestamp = new Date().toISOString()
    return { status: 'success', method: 'toy', timestamp, reference: id, challengeId: challenge.id }
  }
  const gate = shop.charge(PRICE)
  const payload = { from: 'alice', nonce: 'the-same', signature: 'any' }
  const ask = async (headers: Record<string, string> = {}) => {
    const [challenge] = (await drive(gate)).challenges
    return { headers: { ...headers, authorization: formatCredential({ challenge: challenge!, payload }) } }
  }
  const used = { 'idempotency-key': 'used' }
  expect((await drive(gate, await buy(shop, gate, { headers: used }))).status).toBe(200)
  // The first claims the proof, and lets it go for its key; the second is refused just then; the third comes later.
  const [one, two, three] = [await ask(used), await ask(), await ask()]
  ice.freeze('proof-claimed')
  const first = drive(gate, one)
  await ice.frozen()
  isWatched = true
  const second = drive(gate, two)
  await refused.promise
  ice.thaw()
  expect((await first).status).toBe(402)
  go.resolve()
  expect([(await second).status, (await drive(gate, three)).status]).toEqual([200, 402])
  expect((await shop.ledger.transfers()).length).toBe(2)
})
