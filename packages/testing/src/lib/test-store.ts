import { afterEach, beforeEach, describe, expect, test, type TestContext } from 'vitest'
import type { Entry, Store, SwapResult, Version, Write } from '@mppkit/core'

/** What `testStore` needs of a store; opened anew for every test. */
export interface OpenedStore {
  store: Store
  /** One more store object on the same data, with a connection of its own. Without it, races between objects are skipped. */
  another?(): Promise<Store>
  /** Moves the store's clock on by milliseconds. Without it the suite waits in real time. */
  advance?(ms: number): void | Promise<void>
  /** Releases what `open` made. The store itself may already be closed. */
  close?(): Promise<void>
}

/**
 * The questions that every store has to answer, as a vitest suite: versions, expiry, leases, queues, races.
 *
 * Keys and queues are fresh for each test, so the data behind the store need not be empty.
 *
 * @param name Names the suite.
 * @param open Opens the store under test; called before each test.
 */
export function testStore(name: string, open: () => Promise<OpenedStore>): void {
  describe(`store: ${name}`, () => {
    let opened: OpenedStore
    let store: Store
    let prefix: string
    let key: string

    beforeEach(async () => {
      opened = await open()
      store = opened.store
      prefix = `test:${crypto.randomUUID()}:`
      key = `${prefix}key`
    })
    afterEach(() => opened.close?.())

    /** A span of store time, in milliseconds: long where the clock can be moved, short where it has to be waited for. */
    const span = () => (opened.advance ? 60_000 : 800)

    async function pass(ms: number): Promise<void> {
      if (opened.advance) await opened.advance(ms)
      else await new Promise((resolve) => setTimeout(resolve, ms))
    }

    const write = (value: string, rest?: Omit<Partial<Write>, 'value'>): Write => ({
      value,
      ttl: 3600,
      ...rest,
    })
    const dueIn = (queue: string, ms: number) => ({ due: { queue: prefix + queue, in: ms / 1000 } })
    const put = (value: string, rest?: Omit<Partial<Write>, 'value'>, at = key) =>
      swapped(store.swap(at, 'absent', write(value, rest)))

    async function listed(queue: string, limit = 100, after?: Entry): Promise<string[]> {
      return (await store.due(prefix + queue, limit, after)).map((entry) => entry.value)
    }

    async function paged(queue: string, limit: number): Promise<string[]> {
      const values: string[] = []
      for (let after: Entry | undefined; ;) {
        const page = await store.due(prefix + queue, limit, after)
        values.push(...page.map((entry) => entry.value))
        if (page.length < limit) return values
        after = page.at(-1)
      }
    }

    describe('get and swap', () => {
      test('what was written is read, with the version that the swap gave', async () => {
        expect(await store.get(key)).toBeUndefined()
        const version = await put('one')
        expect(await store.get(key)).toEqual({ key, value: 'one', version, leased: false })
      })

      test('a swap on the present version writes and gives another version', async () => {
        const first = await put('one')
        const second = await swapped(store.swap(key, first, write('two')))
        expect(second).not.toBe(first)
        expect(await store.get(key)).toEqual({ key, value: 'two', version: second, leased: false })
      })

      test("a swap from 'absent' over an entry is refused and shows it", async () => {
        const version = await put('one', { lease: span() })
        const entry = { key, value: 'one', version, leased: true }
        expect(await store.swap(key, 'absent', write('two'))).toEqual({ ok: false, entry })
        expect(await store.get(key)).toEqual(entry)
      })

      test('a swap on a spent version is refused and shows what stands, even if the value is the same', async () => {
        const first = await put('same')
        const second = await swapped(store.swap(key, first, write('same')))
        const entry = { key, value: 'same', version: second, leased: false }
        expect(await store.swap(key, first, write('late'))).toEqual({ ok: false, entry })
        expect(await store.swap(key, first, 'delete')).toEqual({ ok: false, entry })
        expect(await store.get(key)).toEqual(entry)
      })

      test('the version of another key is refused, over an entry and where there is none', async () => {
        const version = await put('one')
        expect(await store.swap(`${key}2`, version, write('two'))).toEqual({ ok: false })
        expect(await store.swap(`${key}2`, version, 'delete')).toEqual({ ok: false })
        const entry = {
          key: `${key}2`,
          value: 'two',
          version: await put('two', {}, `${key}2`),
          leased: false,
        }
        expect(await store.swap(`${key}2`, version, write('three'))).toEqual({ ok: false, entry })
      })

      test('a version that no store ever gave is refused', async () => {
        await put('one')
        for (const version of ['', '0', 'x', "' OR 1=1 --"]) {
          expect(await store.swap(key, version, write('two'))).toMatchObject({
            ok: false,
            entry: { value: 'one' },
          })
        }
      })

      test("delete wants the present version, or 'absent' where there is nothing to delete", async () => {
        await swapped(store.swap(key, 'absent', 'delete'))
        const version = await put('one')
        expect(await store.swap(key, 'absent', 'delete')).toMatchObject({
          ok: false,
          entry: { value: 'one' },
        })
        await swapped(store.swap(key, version, 'delete'))
        expect(await store.get(key)).toBeUndefined()
        expect(await store.swap(key, version, 'delete')).toEqual({ ok: false })
      })

      test('a version of a deleted entry does not match its successor', async () => {
        const spent = new Set<Version>()
        for (let round = 0; round < 5; round += 1) {
          const version = await put('same')
          for (const old of spent)
            expect(await store.swap(key, old, write('late'))).toMatchObject({ ok: false })
          expect(spent).not.toContain(version)
          spent.add(version)
          spent.add(await swapped(store.swap(key, version, 'delete')))
        }
      })

      test('entries are copies', async () => {
        const given = write('one')
        const version = await swapped(store.swap(key, 'absent', given))
        given.value = 'changed'
        const entry = (await store.get(key))!
        Object.assign(entry, { value: 'changed', version: 'changed', leased: true })
        const refused = (await store.swap(key, 'absent', write('two'))) as { entry: Entry }
        refused.entry.value = 'changed'
        expect(await store.get(key)).toEqual({ key, value: 'one', version, leased: false })
      })

      test('a write that could never be read back is rejected', async () => {
        for (const ttl of [0, -1, Number.NaN, Infinity]) {
          await expect(store.swap(key, 'absent', write('one', { ttl }))).rejects.toThrow()
        }
        expect(await store.get(key)).toBeUndefined()
      })
    })

    describe('keys and values', () => {
      test('large and empty values', async () => {
        const large = 'ä€😀x'.repeat(64 * 1024)
        const version = await put(large)
        expect((await store.get(key))?.value === large).toBe(true)
        await swapped(store.swap(key, version, write('')))
        expect((await store.get(key))?.value).toBe('')
      })

      test('odd keys are kept apart and given back unchanged', async () => {
        const odd = ` |  |a b|'|"|\`|\\|%|_|*|?|[a]|{b}|}|:|/|\n|\t|é|e\u0301|😀|ß|SS|İ|__proto__|constructor`
        const keys = ['', ...odd.split('|')].map((text) => key + text)
        keys.push(key.padEnd(512, 'k'), key.padEnd(511, 'k'))
        for (const one of keys) await put(one, {}, one)
        for (const one of keys) expect(await store.get(one)).toMatchObject({ key: one, value: one })
      })

      test('keys and queues that differ only by case are different', async () => {
        await put('lower', dueIn('q', 0), `${key}a`)
        await put('upper', dueIn('Q', 0), `${key}A`)
        expect((await store.get(`${key}a`))?.value).toBe('lower')
        expect((await store.get(`${key}A`))?.value).toBe('upper')
        expect([await listed('q'), await listed('Q')]).toEqual([['lower'], ['upper']])
      })
    })

    describe('ttl', () => {
      test('an expired entry is absent to get, swap and due; its version does not match a successor', async () => {
        // Others that expire before it, so that it is not the one which the next write happens to sweep away.
        for (let index = 0; index < 8; index += 1) await put('', { ttl: span() / 1000 }, `${key}${index}`)
        const version = await put('one', { ttl: span() / 1000, ...dueIn('q', 0) })
        expect(await listed('q')).toEqual(['one'])
        await pass(span() + 50)
        expect(await store.get(key)).toBeUndefined()
        expect(await listed('q')).toEqual([])
        expect(await store.swap(key, version, write('late'))).toEqual({ ok: false })
        expect(await store.swap(key, version, 'delete')).toEqual({ ok: false })
        const second = await put('two')
        expect(second).not.toBe(version)
        expect(await store.swap(key, version, write('late'))).toMatchObject({
          ok: false,
          entry: { value: 'two' },
        })
        expect(await listed('q')).toEqual([])
      })

      test('each write begins a ttl of its own', async () => {
        const ttl = span() / 1000
        const [longer, shorter] = [`${key}1`, `${key}2`]
        await swapped(store.swap(longer, await put('one', { ttl }, longer), write('long')))
        await swapped(store.swap(shorter, await put('one', {}, shorter), write('short', { ttl })))
        await put('kept', { ttl: 'forever' })
        await pass(span() + 50)
        expect((await store.get(longer))?.value).toBe('long')
        expect(await store.get(shorter)).toBeUndefined()
        expect((await store.get(key))?.value).toBe('kept')
      })

      test("'forever' never vanishes", async ({ skip }) => {
        if (!opened.advance) skip('needs a clock that can be moved')
        await put('kept', { ttl: 'forever' })
        await pass(100 * 365 * 86_400_000)
        expect((await store.get(key))?.value).toBe('kept')
      })
    })

    describe('lease', () => {
      test('holds until it is over by the clock of the store, for get, due and a refusal alike', async () => {
        await put('one', { lease: span(), ...dueIn('q', 0) })
        const seen = async () => [
          (await store.get(key))?.leased,
          (await store.due(`${prefix}q`, 1))[0]?.leased,
          ((await store.swap(key, 'absent', write('two'))) as { entry?: Entry }).entry?.leased,
        ]
        expect(await seen()).toEqual([true, true, true])
        await pass(span() + 50)
        expect(await seen()).toEqual([false, false, false])
      })

      test('a write states everything: without lease and due there are none', async () => {
        const version = await put('one', { lease: span(), ...dueIn('q', 0) })
        await swapped(store.swap(key, version, write('two')))
        expect(await store.get(key)).toMatchObject({ value: 'two', leased: false })
        expect(await listed('q')).toEqual([])
      })
    })

    describe('due', () => {
      test('lists what is due, oldest first, up to the limit', async () => {
        await put('third', dueIn('q', 0), `${key}1`)
        await put('first', dueIn('q', -2000), `${key}2`)
        await put('second', dueIn('q', -1000), `${key}3`)
        await put('later', dueIn('q', span()), `${key}4`)
        await put('elsewhere', dueIn('r', 0), `${key}5`)
        expect(await listed('q')).toEqual(['first', 'second', 'third'])
        expect(await listed('q', 2)).toEqual(['first', 'second'])
        expect(await listed('nothing')).toEqual([])
        await pass(span() + 50)
        expect(await listed('q')).toEqual(['first', 'second', 'third', 'later'])
      })

      test('shows whole entries and claims nothing', async () => {
        const version = await put('one', dueIn('q', 0))
        const entry = { key, value: 'one', version, leased: false }
        expect(await store.due(`${prefix}q`, 9)).toEqual([entry])
        expect(await store.due(`${prefix}q`, 9)).toEqual([entry])
      })

      test('follows what is written last', async () => {
        const version = await put('moved', dueIn('q', 0))
        const other = await put('put off', dueIn('q', 0), `${key}2`)
        const gone = await put('deleted', dueIn('q', 0), `${key}3`)
        await swapped(store.swap(key, version, write('moved', dueIn('r', 0))))
        await swapped(store.swap(`${key}2`, other, write('put off', dueIn('q', span()))))
        await swapped(store.swap(`${key}3`, gone, 'delete'))
        expect([await listed('q'), await listed('r')]).toEqual([[], ['moved']])
        await pass(span() + 50)
        expect(await listed('q')).toEqual(['put off'])
      })

      test('pages in order, each entry once, with equal due times too', async () => {
        const expected: string[] = []
        for (let index = 0; index < 30; index += 1) {
          const late = Math.floor(index / 10)
          expected.push(`${late}`)
          await put(`${late}`, dueIn('q', (late - 9) * 1000), `${key}${(index * 7) % 30}`)
        }
        for (const limit of [1, 3, 10, 29, 30, 31]) expect(await paged('q', limit)).toEqual(expected)
        const keys = (await store.due(`${prefix}q`, 100)).map((entry) => entry.key)
        expect(new Set(keys).size).toBe(30)
      })

      test('pages on behind an entry that has changed or vanished since', async () => {
        for (let index = 0; index < 6; index += 1) await put(`${index}`, dueIn('q', 0), `${key}${index}`)
        const page = await store.due(`${prefix}q`, 3)
        const rest = ['0', '1', '2', '3', '4', '5'].filter((value) =>
          page.every((entry) => entry.value !== value),
        )
        const after = page.at(-1)!
        await swapped(store.swap(after.key, after.version, write('put off', dueIn('q', span()))))
        expect((await listed('q', 9, after)).toSorted()).toEqual(rest)
        await swapped(store.swap(after.key, (await store.get(after.key))!.version, 'delete'))
        expect((await listed('q', 9, after)).toSorted()).toEqual(rest)
      })
    })

    describe('races', () => {
      const many = { timeout: 60_000 }

      async function objects(count: number, skip: TestContext['skip']): Promise<Store[]> {
        if (count > 1 && !opened.another) skip('needs another()')
        const others = Array.from({ length: count - 1 }, () => opened.another!())
        return [store, ...(await Promise.all(others))]
      }

      function atOnce<T>(count: number, stores: Store[], call: (store: Store, index: number) => Promise<T>) {
        const calls = Array.from({ length: count }, (_, index) => call(stores[index % stores.length]!, index))
        return Promise.all(calls)
      }

      for (const count of [1, 4]) {
        test(
          `64 claims through ${count} store objects: one winner, and all see it`,
          many,
          async ({ skip }) => {
            const stores = await objects(count, skip)
            const results = await atOnce(64, stores, (one, index) =>
              one.swap(key, 'absent', write(`${index}`)),
            )
            expect(results.filter((result) => result.ok)).toHaveLength(1)
            const entry = await store.get(key)
            expect(entry?.value).toBe(`${results.findIndex((result) => result.ok)}`)
            const losers = results.filter((result) => !result.ok)
            expect(losers).toEqual(losers.map(() => ({ ok: false, entry })))
          },
        )

        test(`200 increments through ${count} store objects: none is lost`, many, async ({ skip }) => {
          await put('0')
          const versions = await atOnce(200, await objects(count, skip), (one) => increment(one, key))
          expect((await store.get(key))?.value).toBe('200')
          expect(new Set(versions).size).toBe(200)
        })
      }

      test('a holder, a takeover and a delete on one version: one of them holds', many, async () => {
        const version = await put('held')
        const nexts = [write('holder'), write('taker'), 'delete'] as const
        const results = await atOnce(3, [store], (one, index) => one.swap(key, version, nexts[index]!))
        expect(results.filter((result) => result.ok)).toHaveLength(1)
      })

      test('what one object wrote another reads at once', async ({ skip }) => {
        const stores = await objects(2, skip)
        const version = await put('one', { lease: span(), ...dueIn('q', 0) })
        const entry = { key, value: 'one', version, leased: true }
        expect(await stores[1]!.get(key)).toEqual(entry)
        expect(await stores[1]!.due(`${prefix}q`, 1)).toEqual([entry])
        await swapped(stores[1]!.swap(key, version, write('two')))
        expect(await store.swap(key, version, write('late'))).toMatchObject({
          ok: false,
          entry: { value: 'two' },
        })
      })
    })

    test('a closed store rejects and guesses nothing', async ({ skip }) => {
      if (!store.close) skip('has nothing to close')
      const version = await put('one')
      await store.close!()
      await store.close!()
      await expect(store.get(key)).rejects.toThrow()
      await expect(store.swap(key, version, write('two'))).rejects.toThrow()
      await expect(store.swap(key, 'absent', write('two'))).rejects.toThrow()
      await expect(store.due(`${prefix}q`, 1)).rejects.toThrow()
    })
  })
}

async function swapped(result: Promise<SwapResult>): Promise<Version> {
  const settled = await result
  if (!settled.ok) throw new Error(`the swap was refused; there stands ${JSON.stringify(settled.entry)}`)
  return settled.version
}

/** Adds one, as a caller does: read, then swap until it holds, going on from what a refusal shows. */
async function increment(store: Store, key: string): Promise<Version> {
  let entry = await store.get(key)
  for (;;) {
    const next: Write = { value: `${Number(entry!.value) + 1}`, ttl: 3600 }
    const result = await store.swap(key, entry!.version, next)
    if (result.ok) return result.version
    entry = result.entry ?? (await store.get(key))
  }
}
