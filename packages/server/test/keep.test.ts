import type { Store } from '@mppkit/core'
import { memoryStore } from '@mppkit/server'
import { expect, test } from 'vitest'
import {
  buy,
  drive,
  fakeClock,
  incoming,
  PRICE,
  seller,
  type Handled,
  type Reply,
  type SellerOptions,
} from './lib/harness.ts'
import { deferred } from './lib/points.ts'
import { counting } from './lib/stores.ts'

const KEY = { 'idempotency-key': 'order-1' }
const ANSWER: Handled = {
  status: 201,
  body: 'the photo of a lighthouse',
  headers: [
    ['content-type', 'text/plain; charset=utf-8'],
    ['date', 'Mon, 01 Jan 2029 00:00:00 GMT'],
    ['connection', 'keep-alive'],
    ['transfer-encoding', 'chunked'],
    ['x-own', 'Ä'],
    ['set-cookie', 'a=1'],
    ['set-cookie', 'b=2'],
  ],
}

async function bought(options: SellerOptions = {}, answer: Handled = ANSWER) {
  const store = counting(memoryStore({ now: options.now ?? Date.now }))
  const shop = seller({ store, now: Date.now, ...options })
  await shop.fund()
  const gate = shop.charge(PRICE)
  const ask = await buy(shop, gate, { headers: KEY })
  const first = await drive(gate, ask, () => answer)
  return { shop, store, gate, ask, first }
}

function never(): never {
  throw new Error('no handler may run')
}

function lasting({ status, headers, body }: Reply) {
  const passing = ['date', 'connection', 'transfer-encoding']
  return { status, body, headers: headers.filter(([name]) => !passing.includes(name)) }
}

test('rule 9, CORE-142 C12: the same key gets the first answer again: status, headers without Date, receipt, bytes', async () => {
  const { gate, ask, first, shop } = await bought()
  for (let time = 0; time < 3; time++) {
    const again = await drive(gate, ask, never)
    expect(lasting(again)).toEqual(lasting(first))
    expect(again.headers).toEqual(lasting(again).headers)
    expect(again.receipt).toEqual(first.receipt)
    expect(again.header('cache-control')).toBe('private')
  }
  expect((await shop.ledger.transfers()).length).toBe(1)
})

test.each([
  ['another key', { 'idempotency-key': 'order-2' }],
  ['no key', {}],
])('rule 9, CORE-005: %s gets 402', async (_name, headers) => {
  const { gate, ask } = await bought()
  const authorization = ask.headers!['authorization']!
  const again = await drive(gate, { headers: { ...headers, authorization } }, never)
  expect([again.status, again.problem.type]).toEqual([402, expect.stringMatching(/invalid-challenge$/)])
})

test("rule 9: a stranger's credential with the key gets nothing of what was kept", async () => {
  const { shop, gate, first } = await bought()
  const other = await buy(shop, gate, { headers: KEY })
  const answer = await drive(gate, other, never)
  expect(answer.status).toBe(402)
  expect(answer.body).not.toContain(first.body)
})

test('rule 9: without a key nothing is held back and nothing is kept', async () => {
  const shop = seller()
  await shop.fund()
  const gate = shop.charge(PRICE)
  const ask = await buy(shop, gate)
  let keeps = -1
  await drive(gate, ask, (grant) => ((keeps = grant!.keeps), ANSWER))
  expect(keeps).toBe(0)
  expect((await drive(gate, ask, never)).status).toBe(402)
})

test('rule 9: kept answers are encrypted at rest', async () => {
  const { store } = await bought()
  const all = store.written.join('\n')
  expect(all).toContain('"kept":"')
  for (const secret of [
    'lighthouse',
    'x-own',
    'a=1',
    Buffer.from('lighthouse').toString('base64').slice(0, 10),
  ])
    expect(all).not.toContain(secret)
})

test('CORE-132: no credential, payload, signature or secret is written to the store', async () => {
  const { store, ask } = await bought()
  const token = ask.headers!['authorization']!.slice('Payment '.length)
  const { payload } = JSON.parse(Buffer.from(token, 'base64url').toString()) as {
    payload: { signature: string }
  }
  const all = store.written.join('\n')
  for (const secret of [token, payload.signature, 'thirty-two-bytes']) expect(all).not.toContain(secret)
})

test('rule 9: rotation opens what was kept under the old secret; without it the challenge is unknown', async () => {
  const [old, young] = ['old secret, thirty-two bytes or more', 'new secret, thirty-two bytes or more']
  const { shop, store, ask, first } = await bought({ secret: old })
  const again = (secret: string[]) =>
    seller({ store, ledger: shop.ledger, now: Date.now, secret }).charge(PRICE)
  expect((await drive(again([young, old]), ask, never)).body).toBe(first.body)
  expect((await drive(again([young]), ask, never)).status).toBe(402)
})

test('rules 9 12: kept for an hour, whatever the lifetime of the challenge', async () => {
  const clock = fakeClock()
  const { gate, ask, first } = await bought({ now: clock.now })
  clock.advance(3_599_000)
  expect((await drive(gate, ask, never)).body).toBe(first.body)
  clock.advance(24 * 3_600_000)
  expect((await drive(gate, ask, never)).status).toBe(402)
})

test.each([204, 302, 303])('rule 9: a %i without a body is kept', async (status) => {
  const { gate, ask, first } = await bought({}, { status, body: '', headers: [['location', '/elsewhere']] })
  const again = await drive(gate, ask, never)
  expect([again.status, again.body, again.header('location')]).toEqual([status, '', '/elsewhere'])
  expect(again.receipt).toEqual(first.receipt)
})

test.each([301, 304, 308, 404, 500])(
  'rules 7 9: a %i is not kept: the retry starts the handler again',
  async (status) => {
    const { gate, ask } = await bought({}, { status, body: 'no' })
    expect((await drive(gate, ask, () => ANSWER)).status).toBe(201)
  },
)

test('rule 9: larger than `keeps` is not kept: the payment is spent with the last byte', async () => {
  const { gate, ask } = await bought({}, { body: 'x'.repeat(65_537) })
  expect((await drive(gate, ask, never)).status).toBe(402)
  const fits = await bought({}, { body: 'x'.repeat(65_536) })
  expect((await drive(fits.gate, fits.ask, never)).body.length).toBe(65_536)
})

test('rule 9: bytes come back as bytes', async () => {
  const shop = seller()
  await shop.fund()
  const gate = shop.charge(PRICE)
  const ask = await buy(shop, gate, { headers: KEY })
  const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
  const opening = await gate({
    method: 'GET',
    target: '/photo',
    headers: { get: (name) => ask.headers![name] ?? null },
    transport: 'loopback',
  })
  const decision = opening.kind === 'admit' ? await opening.admit() : undefined
  if (decision?.kind !== 'proceed') throw new Error('not admitted')
  await decision.grant.keep({ status: 200, headers: decision.grant.headers(200), body: bytes })
  // The connection breaks before a byte has left: what was kept is what the buyer gets.
  await decision.grant.finish({ status: 200, reached: 'nothing' })
  const again = await gate({
    method: 'GET',
    target: '/photo',
    headers: { get: (name) => ask.headers![name] ?? null },
    transport: 'loopback',
  })
  const replayed = again.kind === 'admit' ? await again.admit() : undefined
  if (replayed?.kind !== 'respond') throw new Error('not answered')
  expect(new Uint8Array(replayed.answer.body as Uint8Array)).toEqual(bytes)
})

test('rule 9: a retry that redeems keeps its answer too', async () => {
  const { gate, ask } = await bought({}, { status: 500 })
  await drive(gate, ask, () => ({ reached: 'some', body: 'x'.repeat(70_000) }))
  expect((await drive(gate, ask, () => ANSWER)).status).toBe(201)
  expect((await drive(gate, ask, never)).status).toBe(201)
})

test.each(['', 'k'.repeat(256)])(
  'rule 9: an Idempotency-Key of a useless length (%#) is refused before anything is claimed',
  async (key) => {
    const { shop, store, gate } = await bought()
    const ask = await buy(shop, gate)
    store.reset()
    const answer = await drive(gate, { headers: { ...ask.headers, 'idempotency-key': key } }, never)
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(store.calls.swap).toBe(0)
    expect((await drive(gate, ask)).status).toBe(200)
  },
)

test.each(['late', 'lost'] as const)(
  'rule 9: who hangs up while his answer is kept, and has it on another connection, keeps no money (the store’s reply is %s)',
  async (reply) => {
    const inner = memoryStore()
    const [written, go] = [deferred(), deferred()]
    let lost = 0
    const store: Store = {
      ...inner,
      async swap(key, expect, next) {
        const result = await inner.swap(key, expect, next)
        if (next === 'delete' || !next.value.includes('"kept"') || lost++ > 1) return result
        written.resolve()
        await go.promise
        if (reply === 'lost') throw new Error('the reply is lost')
        return result
      },
    }
    const shop = seller({ store, now: Date.now, toy: { canRefund: true } })
    await shop.fund()
    const gate = shop.charge({ ...PRICE, redeem: { attempts: 1 } })
    const ask = await buy(shop, gate, { headers: KEY })
    const opening = await gate(incoming(ask))
    const decision = opening.kind === 'admit' ? await opening.admit() : undefined
    if (decision?.kind !== 'proceed') throw new Error('not admitted')
    const { grant } = decision
    const keeping = grant.keep({ status: 200, headers: [], body: 'content' })
    await written.promise
    expect((await drive(gate, ask, never)).body).toBe('content')
    const finishing = grant.finish({ status: 499, reached: 'some' })
    go.resolve()
    await Promise.all([keeping, finishing])
    await shop.recover()
    expect((await shop.trace(grant.payment.id))?.state).toBe('delivered')
    expect((await drive(gate, ask, never)).body).toBe('content')
    expect(shop.toy.calls.refund).toBe(0)
  },
)

test('rule 9: who hangs up while his answer is being sealed gets it again, and not his money as well', async () => {
  const shop = seller({ toy: { canRefund: true } })
  await shop.fund()
  const gate = shop.charge({ ...PRICE, redeem: { attempts: 1 } })
  const ask = await buy(shop, gate, { headers: KEY })
  const opening = await gate(incoming(ask))
  const decision = opening.kind === 'admit' ? await opening.admit() : undefined
  if (decision?.kind !== 'proceed') throw new Error('not admitted')
  const { grant } = decision
  const kept = { status: 200, headers: [], body: 'content' }
  await Promise.all([grant.keep(kept), grant.finish({ status: 499, reached: 'nothing' })])
  await shop.recover()
  expect((await shop.trace(grant.payment.id))?.state).toBe('delivered')
  expect((await drive(gate, ask, never)).body).toBe('content')
  expect(shop.toy.calls.refund).toBe(0)
})
