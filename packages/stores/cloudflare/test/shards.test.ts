import { expect, test } from 'vitest'
import { testStore } from '../../../testing/src/lib/test-store.ts'
import { cloudflareStore, PaymentStore, type StoreNamespace } from '../src/index.ts'
import { playedNamespace } from './lib/played.ts'

testStore('cloudflare in 5 shards, objects played', async () => {
  const namespace = playedNamespace()
  const open = () => cloudflareStore({ namespace, shards: 5 })
  // Caller and objects have one clock here; workerd shows that it is the objects'.
  return { store: open(), another: async () => open() }
})

const write = { value: 'x', ttl: 60 }

test('keys are spread over all shards, and stay where they are', async () => {
  const namespace = playedNamespace()
  const store = cloudflareStore({ namespace, name: 'shop', shards: 4 })
  for (let index = 0; index < 64; index += 1) await store.swap(`quote:${index}`, 'absent', write)
  expect(namespace.names()).toEqual(['shop/0', 'shop/1', 'shop/2', 'shop/3'])
  const asked: string[] = []
  const watched: StoreNamespace = {
    idFromName: (name) => (asked.push(name), namespace.idFromName(name)),
    get: (id) => namespace.get(id),
  }
  const other = cloudflareStore({ namespace: watched, name: 'shop', shards: 4 })
  for (const key of ['', 'a', 'quote:1', 'quote:2', 'é€😀']) await other.get(key)
  // Fixed for ever: another hash would look for paid quotes where they are not. The first call asks how many there are.
  expect(asked.map((name) => Number(name.split('/')[1]))).toEqual([0, 1, 0, 1, 0, 3])
})

test('another number of shards is refused before a new object is asked, and by each that there is', async () => {
  for (const [made, changed] of [
    [1, 2],
    [2, 1],
    [4, 8],
    [8, 4],
  ] as const) {
    const namespace = playedNamespace()
    const first = cloudflareStore({ namespace, shards: made })
    for (let index = 0; index < 64; index += 1) await first.swap(`${index}`, 'absent', write)
    const before = namespace.names()
    const other = cloudflareStore({ namespace, shards: changed })
    for (let index = 0; index < 8; index += 1) {
      await expect(other.get(`${index}`)).rejects.toThrow(`\`shards: ${made}\``)
      await expect(other.swap(`${index}`, 'absent', write)).rejects.toThrow(/forgotten/)
      await expect(other.due('q', 1)).rejects.toThrow(/another `name`/)
    }
    expect(namespace.names()).toEqual(before)
    expect(await cloudflareStore({ namespace, shards: made }).get('1')).toMatchObject({ value: 'x' })
  }
})

test('what is due at one time is shown once, through pages of any length', async () => {
  const namespace = playedNamespace()
  const store = cloudflareStore({ namespace, shards: 4 })
  // In one millisecond, so that pages end within it.
  const now = Date.now
  Date.now = () => 1_000_000_000_000
  try {
    for (let index = 0; index < 40; index += 1) {
      await store.swap(`${index}`, 'absent', { ...write, due: { queue: 'q', in: index < 30 ? 0 : -1 } })
    }
    const all = (await store.due('q', 100)).map((entry) => entry.key)
    expect(all).toHaveLength(40)
    expect(all.slice(0, 10).every((key) => Number(key) >= 30)).toBe(true)
    for (let limit = 1; limit < 12; limit += 1) {
      const paged: string[] = []
      for (let page = await store.due('q', limit); ; page = await store.due('q', limit, page.at(-1))) {
        paged.push(...page.map((entry) => entry.key))
        if (page.length < limit) break
      }
      expect(paged).toEqual(all)
    }
  } finally {
    Date.now = now
  }
})

test('`after` must come from due of a store with as many shards', async () => {
  const namespace = playedNamespace()
  const entry = { key: 'a', value: '', leased: false }
  const one = cloudflareStore({ namespace, name: 'one' })
  const four = cloudflareStore({ namespace, name: 'four', shards: 4 })
  for (const version of ['7', '7.5~0', '', 'x']) {
    await expect(one.due('q', 1, { ...entry, version })).rejects.toThrow(TypeError)
  }
  for (const version of ['7.5', '7~0', '7.5~4', '7.5~-1', '7.5~0~0']) {
    await expect(four.due('q', 1, { ...entry, version })).rejects.toThrow(TypeError)
  }
})

test('checks its options, and what a swap is to write', async () => {
  const namespace = playedNamespace()
  expect(() => cloudflareStore({} as never)).toThrow(/binding of a Durable Object class/)
  expect(() => cloudflareStore({ namespace: {} as never })).toThrow(TypeError)
  expect(() => cloudflareStore({ namespace, name: '' })).toThrow(TypeError)
  for (const shards of [0, 65, 1.5, Number.NaN]) {
    expect(() => cloudflareStore({ namespace, shards })).toThrow(/1 to 64/)
  }
  for (const timeout of [0, -1, 1.5, Number.NaN, Infinity]) {
    expect(() => cloudflareStore({ namespace, timeout })).toThrow(TypeError)
  }
  const store = cloudflareStore({ namespace })
  for (const wrong of [
    { ttl: Number.NaN },
    { lease: Infinity },
    { due: { queue: 'q', in: Number.NaN } },
    { due: { in: 0 } },
    { value: 5 },
  ]) {
    await expect(store.swap('a', 'absent', { ...write, ...(wrong as object) })).rejects.toThrow(TypeError)
  }
  await expect(store.due('q', Infinity)).rejects.toThrow(TypeError)
  expect(namespace.names()).toEqual([])
})

test('an object that is not ours, fails or is silent makes calls reject', async () => {
  const answering = (fetch: ReturnType<StoreNamespace['get']>['fetch'], timeout?: number) =>
    cloudflareStore({
      namespace: { idFromName: (name) => name, get: () => ({ fetch }) },
      ...(timeout && { timeout }),
    })
  const calls = (store: ReturnType<typeof answering>) => [
    store.get('a'),
    store.swap('a', 'absent', write),
    store.due('q', 1),
  ]
  for (const call of calls(answering(async () => new Response('not found', { status: 404 })))) {
    await expect(call).rejects.toThrow(/404; is it a PaymentStore/)
  }
  for (const call of calls(answering(() => Promise.reject(new Error('overloaded'))))) {
    await expect(call).rejects.toThrow('overloaded')
  }
  const silent = answering(
    (_url, { signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error))
      }),
    30,
  )
  for (const call of calls(silent)) await expect(call).rejects.toThrow(/timeout/i)
})

test('a class without SQLite is told what to declare', async () => {
  const object = new PaymentStore({ storage: { sql: undefined as never, transactionSync: (work) => work() } })
  const call = { method: 'POST', body: JSON.stringify({ call: 'get', key: 'a', shards: 1 }) }
  await expect(object.fetch(new Request('https://x.invalid/', call))).rejects.toThrow(/new_sqlite_classes/)
})

test('expired rows leave the object, a few with each write', async () => {
  const now = Date.now
  let clock = 1_000_000_000_000
  Date.now = () => clock
  try {
    const namespace = playedNamespace()
    const store = cloudflareStore({ namespace })
    for (let index = 0; index < 40; index += 1) await store.swap(`${index}`, 'absent', { ...write, ttl: 1 })
    clock += 1000
    for (let index = 0; index < 10; index += 1) await store.swap('key', 'absent', write)
    // Back before they expired, only what is really there can be seen.
    clock -= 500
    expect(await store.get('0')).toBeUndefined()
    expect(await store.get('39')).toBeUndefined()
  } finally {
    Date.now = now
  }
})
