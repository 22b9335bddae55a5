import type { Store, SwapResult } from '@mppkit/core'
import { describe, expect, test } from 'vitest'
import { sleep, swapped, type StoreBench } from './test-store-bench.ts'

const slow = { timeout: 120_000 }

/** How long a call may take to settle while its server is away, in milliseconds. */
const LONGEST_CALL = 10_000
/** How long a store may take to find back to a server that can be reached again. */
const LONGEST_RETURN = 20_000

/** What is left when connections and servers die. */
export function faultQuestions(bench: StoreBench): void {
  const { dueIn, key, listed, opened, pass, put, queue, store, write } = bench

  describe('faults', () => {
    for (const [how, title] of [
      ['interrupt', 'connections are lost'],
      ['restart', 'the server is killed and comes back'],
    ] as const) {
      test(
        `${title}: calls settle, the store works on, nothing acknowledged is gone`,
        slow,
        async ({ skip }) => {
          const disturb = opened()[how]
          if (!disturb) return skip(missing(store(), how))
          const writers = Array.from({ length: 8 }, (_, index) => createWriter(store, key(index)))
          const work = async (): Promise<void> => {
            await until(() => writers.every((writer) => writer.swaps() >= 3))
            const claims = Array.from({ length: 40 }, (_, index) =>
              settles(store().swap(key(`claim ${index}`), 'absent', write(`${index}`))),
            )
            const reads = Array.from({ length: 40 }, () => settles(store().get(key(0))))
            const answers = Promise.all([Promise.allSettled(claims), Promise.allSettled(reads)])
            // Begun in the same breath: they are on their way when it happens.
            await disturb.call(opened())
            const [claimed, read] = await answers
            for (const one of [...claimed, ...read]) {
              if (one.status === 'rejected') expect(one.reason).not.toBeInstanceOf(Hung)
            }
            const before = writers.map((writer) => writer.swaps())
            await until(() => writers.every((writer, index) => writer.swaps() >= before[index]! + 3))
            for (const [index, one] of claimed.entries()) {
              if (one.status === 'rejected') continue
              const entry = await store().get(key(`claim ${index}`))
              // A client that sends again what was already done is told of its own write.
              expect(entry).toMatchObject({ value: `${index}` })
              if (one.value.ok) expect(entry!.version).toBe(one.value.version)
            }
          }
          const stop = () => writers.forEach((writer) => writer.stop())
          const [worked, ...ran] = await Promise.allSettled([
            work().finally(stop),
            ...writers.map((writer) => writer.run()),
          ])
          for (const one of [...ran, worked]) if (one.status === 'rejected') throw one.reason
        },
      )
    }

    test(
      'versions, leases, expiry and queues go on where they were after a restart',
      slow,
      async ({ skip }) => {
        if (!opened().restart) return skip(missing(store(), 'restart'))
        const life = opened().advance ? 60_000 : 5000
        const before = performance.now()
        const kept = await put(
          'kept',
          { ttl: 'forever', lease: 3_600_000, ...dueIn('q', -3000) },
          key('kept'),
        )
        const short = { ttl: life / 1000, lease: life }
        await put('short', { ...short, ...dueIn('q', -2000) }, key('short'))
        const leased = await put('leased', { lease: life, ...dueIn('q', -1000) }, key('leased'))
        await put('later', dueIn('q', life), key('later'))
        const gone = await put('gone', dueIn('q', 0), key('gone'))
        await swapped(store().swap(key('gone'), gone, 'delete'))
        const spent = await put('one', {}, key('spent'))
        const present = await swapped(store().swap(key('spent'), spent, write('two')))
        const [first] = await store().due(queue('q'), 1)

        await opened().restart!()
        await until(async () => (await store().get(key('kept'))) !== undefined)

        const entry = { key: key('kept'), value: 'kept', version: kept, leased: true }
        expect(await store().get(key('kept'))).toEqual(entry)
        expect(first).toEqual(entry)
        expect(await store().get(key('spent'))).toMatchObject({ value: 'two', version: present })
        for (const [at, version] of [['spent', spent] as const, ['gone', gone] as const]) {
          expect(await store().swap(key(at), version, write('late'))).toMatchObject({ ok: false })
        }
        const again = await put('gone', {}, key('gone'))
        expect(again).not.toBe(gone)
        expect(await store().swap(key('gone'), gone, write('late'))).toMatchObject({ ok: false })

        const took = performance.now() - before
        // If the way back took longer than the leases last, there is nothing left to see of them.
        if (opened().advance || took < life - 500) {
          expect(await store().get(key('leased'))).toMatchObject({ version: leased, leased: true })
          expect(await listed('q')).toEqual(['kept', 'short', 'leased'])
          expect(await listed('q', 9, first)).toEqual(['short', 'leased'])
        }
        await pass(opened().advance ? life + 50 : Math.max(0, life + 200 - took))
        expect(await store().get(key('leased'))).toMatchObject({ version: leased, leased: false })
        expect(await store().get(key('short'))).toBeUndefined()
        expect(await listed('q')).toEqual(['kept', 'leased', 'later'])
        expect(await listed('q', 9, first)).toEqual(['leased', 'later'])
      },
    )

    test('a closed store rejects and guesses nothing', async ({ skip }) => {
      const closed = store()
      if (!closed.close) return skip('has nothing to close')
      const version = await put('one')
      await closed.close()
      await closed.close()
      await expect(settles(closed.get(key()))).rejects.toThrow()
      await expect(settles(closed.swap(key(), version, write('two')))).rejects.toThrow()
      await expect(settles(closed.swap(key(), 'absent', write('two')))).rejects.toThrow()
      await expect(settles(closed.due(queue('q'), 1))).rejects.toThrow()
    })
  })
}

function missing(store: Store, capability: 'interrupt' | 'restart'): string {
  return store.volatile ? 'it forgets everything when its process ends' : `needs ${capability}()`
}

/**
 * Counts up on a key of its own, one swap after another, through every failure, and rejects when the store shows what it
 * never acknowledged nor was asked for, or leaves a call hanging.
 */
function createWriter(store: () => Store, key: string) {
  let [acknowledged, asked, swaps, stopped] = [0, 0, 0, false]

  async function step(): Promise<void> {
    const entry = await settles(store().get(key))
    const value = Number(entry?.value ?? 0)
    expect(value).toBeGreaterThanOrEqual(acknowledged)
    expect(value).toBeLessThanOrEqual(asked)
    asked = value + 1
    const next = { value: `${asked}`, ttl: 3600 }
    const result: SwapResult = await settles(store().swap(key, entry?.version ?? 'absent', next))
    // Refused: one that seemed to have failed has been done since. The next step reads it.
    if (!result.ok) return
    acknowledged = asked
    swaps += 1
  }

  return {
    /** How many of its swaps were acknowledged. */
    swaps: () => swaps,
    stop: () => void (stopped = true),
    async run(): Promise<void> {
      while (!stopped) {
        try {
          await step()
          // In memory a step takes no time at all: let others run.
          await sleep(0)
        } catch (error) {
          if (error instanceof Hung || (error as Error).name === 'AssertionError') throw error
          await sleep(20)
        }
      }
    },
  }
}

class Hung extends Error {}

/** Fails with `Hung` when a call neither resolves nor rejects. */
async function settles<T>(call: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Hung(`a call hung for ${LONGEST_CALL} ms`)), LONGEST_CALL)
  })
  try {
    return await Promise.race([call, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits until `holds`; rejections count as no. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + LONGEST_RETURN
  let cause: unknown
  while (performance.now() < end) {
    try {
      if (await holds()) return
    } catch (error) {
      cause = error
    }
    await sleep(20)
  }
  throw new Error(`the store did not come back within ${LONGEST_RETURN} ms`, { cause })
}
