import { expect } from 'vitest'
import { headOf } from './buyer-wire.ts'
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

/** Answers that come piece by piece. */
export function streamQuestions(bench: Bench): void {
  const { ask, connect, credential, insist, open, pay, route, send, toyGates } = bench
  const options = { with: toyGates }

  let held = barrier()
  const keyed = route(
    '/stream/keyed',
    {
      kind: 'stream',
      async *chunks(signal) {
        yield text('first')
        await Promise.race([held.opened, aborted(signal)])
        yield text('last')
      },
    },
    options,
  )
  ask(
    'stream-keyed',
    ['CORE-007', 'CORE-142'],
    'a stream is not held back for the sake of an Idempotency-Key',
    async () => {
      held = barrier()
      const raw = { target: keyed.target, headers: [['Idempotency-Key', 'stream-1']] as [string, string][] }
      const exchange = open(withCredential(raw, await credential(raw)))
      await exchange.read(5)
      held.open()
      const got = await exchange.rest()
      expectPaid(got)
      expect([got.text, got.complete]).toEqual(['firstlast', true])
    },
  )

  const empty = route('/stream/empty', { kind: 'stream', async *chunks() {} }, options)
  ask(
    'stream-empty',
    ['CORE-007', 'CORE-076'],
    'a stream without a piece is a delivery like another',
    async () => {
      const paid = await credential(empty)
      const got = await send(withCredential(empty, paid))
      expectPaid(got)
      expect([got.text, got.complete]).toEqual(['', true])
      expectRefusal(await insist(withCredential(empty, paid)), 'invalid-challenge')
    },
  )

  const many = route(
    '/stream/many',
    {
      kind: 'stream',
      async *chunks() {
        for (let at = 0; at < 3000; at += 1) yield text(`${String(at)},`)
      },
    },
    options,
  )
  const big = new Uint8Array(65_536).map((_, index) => index % 253)
  const large = route(
    '/stream/large',
    {
      kind: 'stream',
      async *chunks() {
        for (let at = 0; at < 64; at += 1) yield big
      },
    },
    options,
  )
  ask(
    'stream-whole',
    ['CORE-007'],
    'long streams arrive whole and in order, with a key and without',
    async () => {
      const expected = Array.from({ length: 3000 }, (_, at) => `${String(at)},`).join('')
      for (const headers of [[], [['Idempotency-Key', 'stream-2']]] as [string, string][][]) {
        const small = await pay({ target: many.target, headers })
        expectPaid(small)
        expect(small.text).toBe(expected)
        const got = await pay({ target: large.target, headers })
        expectPaid(got)
        expect(got.bytes.length).toBe(64 * big.length)
        for (let at = 0; at < 64; at += 7)
          expect(Buffer.compare(got.bytes.subarray(at * big.length, (at + 1) * big.length), big)).toBe(0)
      }
    },
  )

  const endless = { pulled: 0, told: 0 }
  const torrent = route(
    '/stream/torrent',
    {
      kind: 'stream',
      async *chunks(signal) {
        void aborted(signal).then(() => (endless.told += 1))
        // Beyond all buffers on the way, and yet not for ever.
        for (; endless.pulled < 2000; endless.pulled += 1) yield big
      },
    },
    options,
  )
  ask(
    'back-pressure',
    ['CORE-007'],
    'nobody reads ahead of the buyer, and when the buyer goes, the stream is told',
    async () => {
      for (const headers of [[], [['Idempotency-Key', 'stream-3']]] as [string, string][][]) {
        const raw = { target: torrent.target, headers }
        const paid = await credential(raw)
        endless.pulled = 0
        endless.told = 0
        const wire = await connect()
        wire.write(headOf(withCredential(raw, paid)))
        await until(() => endless.pulled > 0, 'the stream begins')
        let before = -1
        while (before !== endless.pulled && endless.pulled < 2000) {
          before = endless.pulled
          await pause(150)
        }
        // 32 MB: a connection on the loopback takes some by itself.
        expect(endless.pulled).toBeLessThan(500)
        wire.reset()
        await until(() => endless.told === 1, 'the stream is told that nobody listens')
      }
    },
    20_000,
  )
}
