import { expect, onTestFinished, test } from 'vitest'
import { reasonFor, type Refusal } from '../src/index.ts'
import { ask, buyer, challenge, honest, serve, toy, type Toy } from './seller.ts'

/** A node of the rail that itself wants to be paid, and what a method that asks it hears. */
async function greedyNode() {
  const node = await serve(honest({ ask: { amount: '1' } }))
  const heard: (Refusal | undefined)[] = []
  const call = async () => void heard.push(reasonFor(await globalThis.fetch(node.url)))
  return { node, heard, call }
}

function patched(over: Partial<Toy>) {
  const bought = buyer({}, { methods: [toy(over)] })
  onTestFinished(bought.polyfill())
  return bought
}

test.each(['prepare', 'send', 'find'] as const)(
  'what a method asks the patched fetch during %s is not paid, so a greedy node gets nothing',
  async (stage) => {
    const { node, heard, call } = await greedyNode()
    const shop = await serve((seen, response, self) =>
      // Only a refused payment is looked for.
      stage === 'find' ? ask(response, challenge()) : honest()(seen, response, self),
    )
    const { prepare } = toy()
    const { events } = patched({
      prepare: async (...args) => (stage === 'prepare' && (await call()), await prepare(...args)),
      send: async () => void (stage === 'send' && (await call())),
      find: async () => (stage === 'find' && (await call()), 'moved'),
    })
    expect((await globalThis.fetch(shop.url)).status).toBe(stage === 'find' ? 402 : 200)
    expect(heard).toMatchObject([{ code: 'busy', detail: expect.stringContaining('client.fetch') }])
    expect(node.seen.map((seen) => !!seen.credential)).toEqual([false])
    expect(events.map((event) => event.type).toSorted()).toEqual(
      stage === 'find' ? ['failed', 'refused'] : ['paid', 'refused'],
    )
  },
)

test('also not what it does not wait for, nor what it does after the call was aborted', async () => {
  const { node, heard, call } = await greedyNode()
  const shop = await serve(honest())
  const { prepare } = toy()
  const stop = new AbortController()
  const late: Promise<void>[] = []
  const slow = async () => {
    stop.abort()
    await new Promise((resolve) => setTimeout(resolve, 30))
    await call()
  }
  let turn = 0
  patched({
    async prepare(...args) {
      if (turn++) late.push(call())
      else {
        late.push(slow())
        await late[0]
      }
      return await prepare(...args)
    },
  })
  await expect(globalThis.fetch(shop.url, { signal: stop.signal })).rejects.toMatchObject({
    name: 'AbortError',
  })
  await Promise.all(late)
  await new Promise((resolve) => setTimeout(resolve, 10))
  expect((await globalThis.fetch(shop.url)).status).toBe(200)
  await Promise.all(late)
  expect(heard).toMatchObject([{ code: 'busy' }, { code: 'busy' }])
  expect([node.settled, shop.settled.length]).toEqual([[], 1])
})

test('nor through the patch of another client', async () => {
  const { node, heard, call } = await greedyNode()
  const shop = await serve(honest())
  const { prepare } = toy()
  const other = patched({})
  const { fetch } = buyer(
    {},
    { methods: [toy({ prepare: async (...args) => (await call(), await prepare(...args)) })] },
  )
  expect((await fetch(shop.url)).status).toBe(200)
  expect(heard).toMatchObject([{ code: 'busy' }])
  expect([node.settled, other.method.prepared]).toEqual([[], []])
})

test('free answers are not touched meanwhile; client.fetch pays at any time, and so does what began before or begins after', async () => {
  const shop = await serve(honest())
  const free = await serve((_, response) => void response.end('free'))
  let go!: () => void
  const wait = new Promise<void>((resolve) => (go = resolve))
  let signing!: () => void
  const signs = new Promise<void>((resolve) => (signing = resolve))
  const { prepare } = toy()
  const { fetch } = patched({ prepare: async (...args) => (signing(), await wait, await prepare(...args)) })
  // All begin before any of them signs.
  const begun = [1, 2, 3].map(() => globalThis.fetch(shop.url))
  await signs
  const meanwhile = await globalThis.fetch(shop.url)
  expect([meanwhile.status, await meanwhile.text(), reasonFor(meanwhile)?.code]).toEqual([
    402,
    'pay first',
    'busy',
  ])
  expect(await (await globalThis.fetch(free.url)).text()).toBe('free')
  const direct = fetch(shop.url)
  go()
  const statuses = (await Promise.all([...begun, direct])).map((response) => response.status)
  expect([...statuses, (await globalThis.fetch(shop.url)).status]).toEqual([200, 200, 200, 200, 200])
})

test('a method that throws at once leaves nothing busy', async () => {
  const shop = await serve(honest())
  let broken = true
  const { prepare } = toy()
  patched({
    prepare(...args) {
      if (broken) throw new Error('no wallet')
      return prepare(...args)
    },
  })
  expect(reasonFor(await globalThis.fetch(shop.url))?.code).toBe('failed')
  broken = false
  expect((await globalThis.fetch(shop.url)).status).toBe(200)
})
