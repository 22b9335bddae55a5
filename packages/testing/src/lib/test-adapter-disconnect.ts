import { expect } from 'vitest'
import type { Reply } from './adapter-app.ts'
import {
  aborted,
  barrier,
  expectPaid,
  expectRefusal,
  pause,
  text,
  until,
  withCredential,
  type Bench,
} from './test-adapter-bench.ts'
import { toyMethod } from './toy-method.ts'
import { toyWallet } from './toy-wallet.ts'

/** What becomes of a payment whose buyer goes away, or whose handler fails. */
export function disconnectQuestions({
  ask,
  credential,
  gates,
  insist,
  ledger,
  open,
  quote,
  route,
  send,
  toy,
  toyGates,
}: Bench): void {
  const options = { with: toyGates }
  const slow = route('/delivery/slow', { kind: 'payment' }, options)
  ask(
    'gone-before',
    ['CORE-143', 'CHG-037'],
    'a buyer who leaves before the first byte gets the content with the same credential, and pays once',
    async () => {
      const paid = await credential(slow)
      const before = toy.calls.settle
      const working = barrier()
      slow.onStart = () => working.opened
      const exchange = open(withCredential(slow, paid))
      await until(() => slow.starts === 1, 'the handler starts')
      exchange.reset()
      slow.onStart = undefined
      await pause(50)
      working.open()
      const got = await insist(withCredential(slow, paid))
      expectPaid(got)
      expect([got.json().attempt, slow.starts, toy.calls.settle - before]).toEqual([2, 2, 1])
    },
  )

  const middle = heldStream('first', 'last')
  const streamed = route('/delivery/gone-middle', middle.reply, options)
  ask(
    'gone-middle',
    ['CORE-143'],
    'a buyer who leaves in the middle gets it again with the same credential',
    async () => {
      const paid = await credential(streamed)
      const exchange = open(withCredential(streamed, paid))
      await exchange.read(5)
      exchange.reset()
      await until(() => middle.ended === 1, 'the stream is told')
      middle.open()
      const got = await insist(withCredential(streamed, paid))
      expectPaid(got)
      expect([got.text, streamed.starts]).toEqual(['firstlast', 2])
      expectRefusal(await insist(withCredential(streamed, paid)), 'invalid-challenge')
    },
  )

  const refunding = gates({ methods: [toyMethod({ ledger, recipient: 'shop', canRefund: true })] })
  const cheat = toyWallet({ ledger, account: 'cheat' })
  const last = heldStream('x'.repeat(999), 'x')
  const nearly = route('/delivery/gone-last', last.reply, { with: refunding })
  ask(
    'gone-last',
    ['CHG-037'],
    'leaving at the last byte, again and again, or once and then making the handler fail, gets neither more content nor the money back',
    async () => {
      await ledger.fund('cheat', 200n)
      for (const leaves of [3, 1]) {
        const [challenge] = await quote(nearly)
        const paid = await cheat.pay(challenge!)
        const starts = nearly.starts
        for (let attempt = 1; attempt <= 3; attempt += 1) {
          if (attempt > leaves) {
            nearly.onStart = () => {
              throw new Error('the handler fails')
            }
            expect((await insist(withCredential(nearly, paid))).status).toBe(500)
            nearly.onStart = undefined
            continue
          }
          const ended = last.ended
          const exchange = await begin(nearly.target, paid)
          await exchange.read(999)
          exchange.reset()
          await until(() => last.ended === ended + 1, 'the stream is told')
        }
        const got = await insist(withCredential(nearly, paid))
        expect([got.status, got.get('retry-after'), nearly.starts - starts]).toEqual([409, null, 3])
      }
      await pause(100)
      // Looked at once more when the server has had time for it: [refund].
      expect(await ledger.balance('cheat')).toBe(0n)
    },
    20_000,
  )

  const throwing = route('/delivery/throwing', { kind: 'payment' }, options)
  ask(
    'redeem',
    ['CORE-080', 'CORE-143'],
    'a handler that fails is started again with the same credential, up to three times',
    async () => {
      const paid = await credential(throwing)
      const before = toy.calls.settle
      throwing.onStart = () => {
        if (throwing.starts < 3) throw new Error('not yet')
      }
      const statuses = [
        await insist(withCredential(throwing, paid)),
        await insist(withCredential(throwing, paid)),
      ]
      expect(statuses.map(({ status, text: body }) => [status, body])).toEqual([
        [500, 'handled'],
        [500, 'handled'],
      ])
      const got = await insist(withCredential(throwing, paid))
      expectPaid(got)
      expect([got.json().attempt, throwing.starts, toy.calls.settle - before]).toEqual([3, 3, 1])
      expectRefusal(await insist(withCredential(throwing, paid)), 'invalid-challenge')
    },
  )

  const elsewhere = route('/delivery/elsewhere', { kind: 'text', body: 'other' }, options)
  ask(
    'paid-elsewhere',
    ['CORE-059', 'CORE-066'],
    'what was paid but not delivered buys nothing elsewhere, and stays good here',
    async () => {
      const paid = await credential(throwing)
      throwing.onStart = () => {
        throw new Error('not yet')
      }
      expect((await send(withCredential(throwing, paid))).status).toBe(500)
      throwing.onStart = undefined
      const got = await insist(withCredential(elsewhere, paid))
      expect([got.status, got.get('retry-after'), got.get('www-authenticate')]).toEqual([409, null, null])
      expect(elsewhere.starts).toBe(0)
      expectPaid(await insist(withCredential(throwing, paid)))
    },
  )

  const hopeless = route('/delivery/hopeless', { kind: 'throw' }, options)
  ask(
    'redeem-ends',
    ['CHG-037'],
    'after three failures it is over, and the answer says that the money is known',
    async () => {
      const paid = await credential(hopeless)
      for (let attempt = 1; attempt <= 3; attempt += 1)
        expect((await insist(withCredential(hopeless, paid))).status).toBe(500)
      const got = await insist(withCredential(hopeless, paid))
      expect([got.status, got.get('retry-after'), got.get('www-authenticate'), hopeless.starts]).toEqual([
        409,
        null,
        null,
        3,
      ])
    },
  )

  const used = route('/delivery/used', { kind: 'text', body: 'content' }, { with: refunding })
  const returned = route('/delivery/returned', { kind: 'throw' }, { with: refunding })
  ask(
    'refund',
    ['CHG-037'],
    'when nothing was ever handed over, the money goes back by itself',
    async () => {
      const paid = await credential(returned)
      const before = await ledger.balance('alice')
      for (let attempt = 1; attempt <= 3; attempt += 1)
        expect((await insist(withCredential(returned, paid))).status).toBe(500)
      await until(async () => (await ledger.balance('alice')) === before, 'the money is back')
      expectPaid(await send(withCredential(used, await credential(used))))
      expect([await ledger.balance('alice'), await ledger.balance('cheat')]).toEqual([before - 100n, 0n])
      const got = await insist(withCredential(returned, paid))
      expectRefusal(got)
      expect(returned.starts).toBe(3)
    },
    20_000,
  )

  const broken = route('/delivery/broken', { kind: 'break', first: text('half') }, options)
  ask(
    'broken-stream',
    ['CORE-007'],
    'a stream that fails in the middle is not taken for a delivery',
    async () => {
      const paid = await credential(broken)
      for (let attempt = 1; attempt <= 3; attempt += 1) {
        const got = await begin(broken.target, paid).then(
          (exchange) => exchange.rest(),
          () => undefined,
        )
        expect(got?.complete ?? false).toBe(false)
        expect(broken.starts).toBe(attempt)
      }
      expect((await insist(withCredential(broken, paid))).status).toBe(409)
    },
    20_000,
  )

  /** Opens an exchange, once nobody else holds the payment. */
  async function begin(target: string, paid: string): Promise<ReturnType<typeof open>> {
    for (;;) {
      const exchange = open(withCredential({ target }, paid))
      const status = await exchange.status()
      if (status !== 409) return exchange
      const busy = await exchange.rest()
      expect(busy.get('retry-after')).not.toBeNull()
      await pause(50)
    }
  }
}

/** A stream that keeps its end back until it is opened, or until the buyer is gone. */
function heldStream(first: string, last: string): { reply: Reply; open: () => void; ended: number } {
  const held = barrier()
  const state = {
    open: held.open,
    ended: 0,
    reply: {
      kind: 'stream',
      async *chunks(signal: AbortSignal) {
        try {
          yield text(first)
          await Promise.race([held.opened, aborted(signal)])
          if (!signal.aborted) yield text(last)
        } finally {
          state.ended += 1
        }
      },
    } satisfies Reply as Reply,
  }
  return state
}
