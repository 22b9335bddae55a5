import { expect, test } from 'vitest'
import { paymentOf, reasonFor } from '../src/index.ts'
import { ask, buyer, challenge, honest, serve, toy } from './seller.ts'

const once = { currency: 'usd', perRequest: '1', total: '0.10' }
const never = () => new Promise<never>(() => {})

/** Aborts when `stage` is reached; tells whether the budget came back. */
async function run(
  make: (abort: () => void) => Parameters<typeof buyer>,
  answer: Parameters<typeof serve>[0] = honest(),
) {
  const seller = await serve(answer)
  const controller = new AbortController()
  const bought = buyer(...make(() => controller.abort()))
  const error: unknown = await bought
    .fetch(seller.url, { signal: controller.signal })
    .catch((fault: unknown) => fault)
  expect(error).toMatchObject({ name: 'AbortError' })
  return { ...bought, seller, error, same: error === controller.signal.reason }
}

test('before the call: nothing is sent', async () => {
  const seller = await serve(honest())
  await expect(buyer().fetch(seller.url, { signal: AbortSignal.abort() })).rejects.toMatchObject({
    name: 'AbortError',
  })
  await expect(buyer().fetch(new Request(seller.url, { signal: AbortSignal.abort() }))).rejects.toMatchObject(
    { name: 'AbortError' },
  )
  expect(seller.seen).toEqual([])
})

test('while the body is read', async () => {
  const seller = await serve(honest())
  const body = new ReadableStream({ pull: never })
  const init = { method: 'POST', body, duplex: 'half', signal: AbortSignal.timeout(50) } as RequestInit
  await expect(buyer().fetch(seller.url, init)).rejects.toMatchObject({ name: 'TimeoutError' })
  expect(seller.seen).toEqual([])
})

test('during the unpaid request', async () => {
  let stop!: () => void
  const { seller, events, method } = await run(
    (abort) => ((stop = abort), []),
    () => stop(),
  )
  expect([seller.seen.length, events.length, method.prepared.length]).toEqual([1, 0, 0])
})

test('during approve: nothing is signed, the budget is free', async () => {
  let asked = 0
  const { fetch, seller, method, same } = await run((abort) => [
    { limits: once, approve: () => (asked++ ? true : (setTimeout(abort, 10), never())) },
  ])
  expect([same, method.prepared.length, seller.seen.length]).toEqual([true, 0, 1])
  expect((await fetch(seller.url)).status).toBe(200)
})

test('during prepare, also if it hears nothing: nothing is sent, the budget is free', async () => {
  for (const answer of ['signs', 'hangs', 'fails']) {
    let turn = 0
    const method = toy()
    const prepare = method.prepare.bind(method)
    const { fetch, seller, same } = await run((abort) => {
      method.prepare = async (...args) => {
        if (turn++ === 0) {
          abort()
          if (answer === 'hangs') return await never()
          if (answer === 'fails') throw new Error('late')
        }
        return await prepare(...args)
      }
      return [{ limits: once }, { methods: [method] }]
    })
    expect([same, seller.seen.length]).toEqual([true, 1])
    expect((await fetch(seller.url)).status).toBe(200)
  }
})

test('during send: the money stays spent, and the payment can be resumed', async () => {
  let turn = 0
  const { fetch, resume, seller, error, events } = await run((abort) => [
    { limits: once },
    {
      methods: [
        toy({ send: async () => (turn++ ? undefined : (abort(), never())), find: async () => 'not-moved' }),
      ],
    },
  ])
  expect(seller.seen).toHaveLength(1)
  expect(events).toMatchObject([{ type: 'failed', money: 'unknown' }])
  expect(reasonFor(await fetch(seller.url))?.code).toBe('budget')
  expect((await resume(paymentOf(error)!, seller.url)).status).toBe(200)
})

test('during the paid request: the money stays spent, and the payment can be resumed', async () => {
  let stop!: () => void
  let turn = 0
  const { fetch, resume, seller, error } = await run(
    (abort) => ((stop = abort), [{ limits: once }]),
    (seen, response, self) => {
      if (seen.credential && turn++ === 0) return stop()
      return honest()(seen, response, self)
    },
  )
  expect(reasonFor(await fetch(seller.url))?.code).toBe('budget')
  expect((await resume(paymentOf(error)!, seller.url)).status).toBe(200)
  expect(seller.settled).toHaveLength(1)
})

test('while waiting for Retry-After', async () => {
  let stop!: () => void
  const start = Date.now()
  const { seller, error } = await run(
    (abort) => ((stop = abort), []),
    (seen, response) => {
      if (!seen.credential) return ask(response, challenge())
      response.writeHead(503, { 'Retry-After': '30' }).end()
      setTimeout(stop, 50)
    },
  )
  expect(Date.now() - start).toBeLessThan(5000)
  expect(seller.seen).toHaveLength(2)
  expect(paymentOf(error)).toBeDefined()
})
