import { memoryStore } from '@mppkit/server'
import { expect } from 'vitest'
import type { Raw } from './buyer.ts'
import { headOf } from './buyer-wire.ts'
import {
  barrier,
  expectPaid,
  expectRefusal,
  pause,
  rawOf,
  until,
  withCredential,
  type Asked,
  type Bench,
} from './test-adapter-bench.ts'
import { toyMethod } from './toy-method.ts'
import { toyWallet } from './toy-wallet.ts'

/** Buyers who leave before there is a handler to be left, and handlers that never come to an end. */
export function goneQuestions(bench: Bench): void {
  const {
    ask,
    connect,
    credential,
    faults,
    gates,
    insist,
    ledger,
    open,
    quote,
    route,
    send,
    store,
    toy,
    toyGates,
  } = bench
  const echo = route('/gone/echo', { kind: 'echo' }, { with: toyGates, verb: 'post' })
  ask(
    'gone-body',
    ['CORE-139', 'CORE-143'],
    'a buyer who leaves in the middle of the body has paid nothing and started nothing',
    async () => {
      const raw = { target: echo.target, method: 'POST', body: 'g'.repeat(5000) }
      const paid = await credential(raw)
      // What the question before has left to be written, on a store that takes its time, is none of this one's.
      for (let seen = -1; seen !== store.written.length; await pause(100)) seen = store.written.length
      const before = [store.written.length, toy.calls.settle, echo.starts]
      for (const one of [raw, withCredential(raw, paid)]) {
        for (const sent of [0, 1, 4999]) {
          const wire = await connect()
          wire.write(headOf(one, [['Content-Length', '5000']]) + raw.body.slice(0, sent))
          await pause(30)
          wire.reset()
        }
        const chunked = await connect()
        chunked.write(`${headOf(one, [['Transfer-Encoding', 'chunked']])}5\r\nggggg\r\n`)
        await pause(30)
        chunked.reset()
      }
      await pause(100)
      expect([store.written.length, toy.calls.settle, echo.starts]).toEqual(before)
      expectPaid(await send(withCredential(raw, paid)))
    },
  )

  const content = route('/gone/content', { kind: 'payment' }, { with: toyGates })
  for (const step of ['verify', 'settle'] as const) {
    ask(
      `gone-${step}`,
      ['CORE-143', 'CHG-037'],
      `a buyer who leaves during "${step}" gets the content with the same credential, and pays once`,
      async () => {
        const paid = await credential(content)
        const moved = (await ledger.transfers()).length
        faults.next(step, 'stall')
        const stalled = faults.stalled()
        const exchange = open(withCredential(content, paid))
        await stalled
        exchange.reset()
        await pause(50)
        faults.release()
        const got = await insist(withCredential(content, paid))
        expectPaid(got)
        expect(got.json().attempt).toBeLessThanOrEqual(2)
        expect((await ledger.transfers()).length - moved).toBe(1)
        expectRefusal(await insist(withCredential(content, paid)), 'invalid-challenge')
      },
    )
  }

  ask(
    'gone-copy',
    ['CORE-143', 'CORE-154', 'CHG-036'],
    'a buyer who leaves while his proof is looked at takes nobody with him who has sent the same',
    async () => {
      const paid = await credential(content)
      const moved = (await ledger.transfers()).length
      faults.next('verify', 'stall')
      const stalled = faults.stalled()
      const first = open(withCredential(content, paid))
      await stalled
      const second = send(withCredential(content, paid))
      await pause(50)
      first.reset()
      await pause(100)
      faults.release()
      const got = await second
      expect([200, 409]).toContain(got.status)
      if (got.status === 409) expectPaid(await insist(withCredential(content, paid)))
      expectRefusal(await insist(withCredential(content, paid)), 'invalid-challenge')
      expect((await ledger.transfers()).length - moved).toBe(1)
    },
  )

  let offset = 0
  const leased = gates({ methods: [toy], store: memoryStore({ now: () => Date.now() + offset }) })
  const hanging = route('/gone/hanging', { kind: 'payment' }, { with: leased })
  ask(
    'never-answers',
    ['CORE-143', 'CHG-037'],
    'a handler that never ends keeps the payment only until its lease is over, and can spoil nothing later',
    async () => {
      const paid = await credential(hanging)
      const moved = (await ledger.transfers()).length
      const never = barrier()
      hanging.onStart = () => never.opened
      const exchange = open(withCredential(hanging, paid))
      await until(() => hanging.starts === 1, 'the handler starts')
      // Nobody else while it is at work.
      const copy = await send(withCredential(hanging, paid))
      expect([copy.status, copy.get('retry-after'), hanging.starts]).toEqual([409, '1', 1])
      exchange.reset()
      hanging.onStart = undefined
      await pause(50)
      offset += 31_000
      const got = await insist(withCredential(hanging, paid))
      expectPaid(got)
      expect([got.json().attempt, hanging.starts]).toEqual([2, 2])
      never.open()
      await pause(50)
      expectRefusal(await insist(withCredential(hanging, paid)), 'invalid-challenge')
      expect([hanging.starts, (await ledger.transfers()).length - moved]).toEqual([2, 1])
    },
  )

  const single = route(
    '/gone/single',
    { kind: 'payment' },
    { with: leased, price: { amount: '1', redeem: { attempts: 1 } } },
  )
  ask(
    'never-ends',
    ['CORE-143', 'CHG-037'],
    'when the last attempt has not told how it ended, nobody is asked to pay again; if it ends well after all, it has delivered',
    async () => {
      const paid = await credential(single)
      const moved = (await ledger.transfers()).length
      const late = barrier()
      single.onStart = () => late.opened
      const exchange = open(withCredential(single, paid))
      await until(() => single.starts === 1, 'the handler starts')
      offset += 31_000
      const got = await send(withCredential(single, paid))
      expect([got.status, got.get('retry-after'), got.get('www-authenticate')]).toEqual([409, null, null])
      late.open()
      expectPaid(await exchange.rest())
      expectRefusal(await insist(withCredential(single, paid)), 'invalid-challenge')
      expect([single.starts, (await ledger.transfers()).length - moved]).toEqual([1, 1])
    },
  )

  /** Leaves the handler of a route three times, each time before it answers. */
  async function leaveThrice(asked: Asked, raw: Raw, paid: string): Promise<void> {
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      const working = barrier()
      asked.onStart = () => working.opened
      // Somebody may still hold it.
      let exchange = open(withCredential(raw, paid))
      await until(async () => {
        if (asked.starts === attempt) return true
        const status = await Promise.race([exchange.status(), pause(20)])
        if (status === 409) exchange = open(withCredential(raw, paid))
        return false
      }, 'the handler starts')
      exchange.reset()
      await pause(100)
      working.open()
      await pause(30)
    }
    asked.onStart = undefined
  }

  const left = route('/gone/left', { kind: 'payment' }, { with: toyGates })
  ask(
    'gone-thrice',
    ['CHG-037'],
    'a buyer who leaves the handler three times has had three starts, and no fourth',
    async () => {
      const paid = await credential(left)
      await leaveThrice(left, rawOf(left), paid)
      const got = await insist(withCredential(left, paid))
      expect([got.status, got.get('retry-after'), left.starts]).toEqual([409, null, 3])
    },
  )

  const refunding = gates({ methods: [toyMethod({ ledger, recipient: 'shop', canRefund: true })] })
  const unseen = route('/gone/unseen', { kind: 'payment' }, { with: refunding })
  const ordered = route('/gone/ordered', { kind: 'payment' }, { with: refunding, verb: 'post' })

  async function payAndLeave(asked: Asked, method: string, account: string): Promise<Raw> {
    await ledger.fund(account, 100n)
    const raw = { target: asked.target, method }
    const [challenge] = await quote(raw)
    const paid = await toyWallet({ ledger, account }).pay(challenge!)
    await leaveThrice(asked, raw, paid)
    expect(asked.starts).toBe(3)
    return withCredential(raw, paid)
  }

  ask(
    'gone-refunded',
    ['CHG-037'],
    'a buyer who was gone each time before there was an answer gets the money back',
    async () => {
      const paid = await payAndLeave(unseen, 'GET', 'leaver')
      await until(async () => (await ledger.balance('leaver')) === 100n, 'the money is back')
      expectRefusal(await insist(paid))
    },
  )

  const returning = gates({
    methods: [toyMethod({ ledger, recipient: 'shop', canRefund: true })],
    store: memoryStore({ now: () => Date.now() + offset }),
  })
  const uncollected = route(
    '/gone/uncollected',
    { kind: 'throw' },
    { with: returning, price: { amount: '1', redeem: { within: '1h' } } },
  )
  ask(
    'gone-for-good',
    ['CHG-037'],
    'what was paid for, failed, and is not asked for again in time, is returned; not before, and not twice',
    async () => {
      await ledger.fund('absent', 100n)
      const [challenge] = await quote(uncollected)
      const paid = await toyWallet({ ledger, account: 'absent' }).pay(challenge!)
      expect((await send(withCredential(uncollected, paid))).status).toBe(500)
      offset += 3_500_000
      await returning.recover()
      expect(await ledger.balance('absent')).toBe(0n)
      offset += 200_000
      await returning.recover()
      expect(await ledger.balance('absent')).toBe(100n)
      await returning.recover()
      expect(await ledger.balance('absent')).toBe(100n)
      expectRefusal(await insist(withCredential(uncollected, paid)))
      expect(uncollected.starts).toBe(1)
    },
  )

  ask(
    'gone-ordered',
    ['CHG-037'],
    'who hangs up on a request that changes something keeps the change, so the money is not returned by itself',
    async () => {
      const paid = await payAndLeave(ordered, 'POST', 'orderer')
      const got = await insist(paid)
      expect([got.status, got.get('retry-after')]).toEqual([409, null])
      expect(await ledger.balance('orderer')).toBe(0n)
    },
  )
}
