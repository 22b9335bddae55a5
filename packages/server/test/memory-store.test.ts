import { describe, expect, test } from 'vitest'
import { testStore } from '../../testing/src/lib/test-store.ts'
import { memoryStore } from '../src/lib/memory-store.ts'

testStore('memory', async () => {
  let clock = Date.now()
  return {
    store: memoryStore({ now: () => clock }),
    advance: (ms) => void (clock += ms),
  }
})

testStore('memory, in real time', async () => ({ store: memoryStore() }))

describe('memoryStore', () => {
  test('refuses at its bound, says what to do, and forgets nothing', async () => {
    const store = memoryStore({ max: 3 })
    for (const key of ['a', 'b', 'c']) await store.swap(key, 'absent', { value: key, ttl: 60 })
    await expect(store.swap('d', 'absent', { value: 'd', ttl: 60 })).rejects.toThrow(
      /3 live entries.*Raise `max`/,
    )
    for (const key of ['a', 'b', 'c']) expect((await store.get(key))?.value).toBe(key)

    const held = (await store.get('a'))!
    expect(await store.swap('a', held.version, { value: 'a2', ttl: 'forever' })).toMatchObject({ ok: true })
    expect(await store.swap('b', 'absent', { value: 'b2', ttl: 60 })).toMatchObject({
      ok: false,
      entry: { value: 'b' },
    })
    expect(await store.swap('b', (await store.get('b'))!.version, 'delete')).toMatchObject({ ok: true })
    expect(await store.swap('d', 'absent', { value: 'd', ttl: 60 })).toMatchObject({ ok: true })
  })

  test('expired entries make room at the bound', async () => {
    let clock = 0
    const store = memoryStore({ max: 2, now: () => clock })
    await store.swap('forever', 'absent', { value: '', ttl: 'forever' })
    await store.swap('short', 'absent', { value: '', ttl: 1 })
    clock = 1000
    expect(await store.swap('short', 'absent', { value: '', ttl: 1 })).toMatchObject({ ok: true })
    clock = 2000
    expect(await store.swap('next', 'absent', { value: '', ttl: 1 })).toMatchObject({ ok: true })
    await expect(store.swap('more', 'absent', { value: '', ttl: 1 })).rejects.toThrow(/full/)
  })

  test('300 000 entries that expire never fill a bound of 1000, and leave no memory behind', async () => {
    let clock = 0
    const store = memoryStore({ max: 1000, now: () => clock })
    for (let index = 0; index < 300_000; index += 1) {
      if (index % 1000 === 0) clock += 10_000
      const result = await store.swap(`${index}`, 'absent', {
        value: 'x',
        ttl: 10 - (index % 7),
        due: { queue: 'q', in: 20 },
      })
      expect(result.ok).toBe(true)
    }
    clock += 10_000
    for (let index = 0; index < 1000; index += 1) {
      expect(await store.swap(`last ${index}`, 'absent', { value: 'x', ttl: 60 })).toMatchObject({ ok: true })
    }
    clock += 20_000
    expect(await store.due('q', 10)).toEqual([])
  })

  test('keeps queues in order through 20 000 random changes', async () => {
    let clock = 1_000_000
    const store = memoryStore({ now: () => clock })
    const model = new Map<string, { version: string; due: number; expires: number; order: number }>()
    let seed = 1
    const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below
    for (let order = 0; order < 20_000; order += 1) {
      clock += random(3)
      const key = `${random(3000)}`
      let old = model.get(key)
      if (old && old.expires <= clock) old = undefined
      if (old && random(3) === 0) {
        if (!(await store.swap(key, old.version, 'delete')).ok) throw new Error(`refused ${key}`)
        model.delete(key)
        continue
      }
      const [due, ttl] = [random(20) * 1000, (1 + random(40)) * 1000]
      const write = { value: key, ttl: ttl / 1000, due: { queue: 'q', in: due / 1000 } }
      const result = await store.swap(key, old?.version ?? 'absent', write)
      if (!result.ok) throw new Error(`refused ${key}`)
      model.set(key, { version: result.version, due: clock + due, expires: clock + ttl, order })
    }
    clock += 5000
    const expected = [...model]
      .filter(([, entry]) => entry.due <= clock && entry.expires > clock)
      .toSorted(([, a], [, b]) => a.due - b.due || a.order - b.order)
      .map(([key]) => key)
    expect(expected.length).toBeGreaterThan(500)
    expect((await store.due('q', 1e9)).map((entry) => entry.key)).toEqual(expected)
    const paged: string[] = []
    for (let page = await store.due('q', 7); page.length > 0; page = await store.due('q', 7, page.at(-1))) {
      paged.push(...page.map((entry) => entry.key))
    }
    expect(paged).toEqual(expected)
  })

  test('an entry that expires at this very millisecond is no longer due', async () => {
    let clock = 0
    const store = memoryStore({ now: () => clock })
    await store.swap('a', 'absent', { value: '', ttl: 1, due: { queue: 'q', in: 1 } })
    clock = 1000
    expect([await store.get('a'), await store.due('q', 10)]).toEqual([undefined, []])
  })

  test('what fell due in one millisecond pages completely, in order and once, one by one', async () => {
    const store = memoryStore({ now: () => 0 })
    const keys = Array.from({ length: 1200 }, (_, index) => `${index}`)
    for (const key of keys)
      await store.swap(key, 'absent', { value: '', ttl: 60, due: { queue: 'q', in: 0 } })
    const paged: string[] = []
    let page = await store.due('q', 1)
    while (page.length > 0 && paged.length <= keys.length) {
      paged.push(page[0]!.key)
      page = await store.due('q', 1, page[0])
    }
    expect(paged).toEqual(keys)
  })

  test('`after` must come from due', async () => {
    const store = memoryStore()
    await store.swap('a', 'absent', { value: '', ttl: 60 })
    await expect(store.due('q', 1, (await store.get('a'))!)).rejects.toThrow(TypeError)
  })

  test('checks its options', () => {
    for (const max of [0, -1, 1.5, Number.NaN, Infinity])
      expect(() => memoryStore({ max })).toThrow(TypeError)
    expect(() => memoryStore({ now: 5 as never })).toThrow(TypeError)
  })
})
