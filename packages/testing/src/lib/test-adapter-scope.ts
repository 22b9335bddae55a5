import { decodeRequest } from '@mppkit/core'
import { expect } from 'vitest'
import {
  challengesOf,
  expectPaid,
  expectRefusal,
  withCredential,
  type Asked,
  type Bench,
} from './test-adapter-bench.ts'

/** Targets that change when they are read as a URL: `/cheap` and `/dear` are the routes below. */
const DOTTED = [
  '/cheap/../dear/x',
  '/dear/../cheap/x',
  '/cheap/%2e%2e/dear/x',
  '/cheap/%2E%2E/dear/x',
  '/cheap/.%2e/dear/x',
  '/cheap/%2e./dear/x',
  '/cheap/./x',
  '/cheap/%2e/x',
  '/cheap/x/..',
  '/cheap/x/.',
  '/cheap/x/%2e%2e',
  '/cheap/x\\y',
  '/cheap\\..\\dear\\x',
]

/** Targets that two parties may read as two resources, although no URL parser changes them. */
const DOUBTFUL = [
  '/cheap/..;/dear/x',
  '/cheap/.;a=b/dear/x',
  '/cheap/%5c..%5cdear',
  '/cheap/x%5Cy',
  '/cheap/x%2fy',
  '/cheap/x%2Fy',
  '/cheap/%2Fdear/x',
  '/cheap/..%2fdear/x',
  '/cheap/%2e%2e%2fdear%2fx',
  '//cheap/x',
  '//dear/x',
  '///cheap/x',
  '/cheap/x%00',
]

const ABSOLUTE = [
  'http://127.0.0.1/cheap/x',
  'http://other.example/dear/x',
  'HTTP://other.example/cheap/../dear/x',
]

/** What some runtimes cut off or decode before anyone sees it. */
const ODD = [
  '/cheap/a#x',
  '/cheap/a?x#y',
  '/dear#/../cheap/x',
  '/dear/x#/cheap/x',
  '/cheap/x?/../dear/x',
  '/cheap/x?a=/dear/x#',
  '/cheap/\xe9',
  '/dear/\xff',
  '/%63heap/x',
  '/%64ear/x',
  '/DEAR/x',
  '/Cheap/x',
  '/dear%20/x',
  '/dear;a=b/x',
  '/dear.json',
  '/cheap/%',
  '/cheap/%zz',
  '/dear/%c0%ae%c0%ae/cheap/x',
  '/dear/x?',
  '/dear/?',
  '/dear/',
]

/** Targets that are all different, and all harmless. */
const PLAIN = [
  '/cheap/a',
  '/cheap/A',
  '/cheap/%61',
  '/cheap/a?x=1',
  '/cheap/a?x=1&y=2',
  '/cheap/a?y=2&x=1',
  '/cheap/a?x=1&x=2',
  '/cheap/a?x=2&x=1',
  '/cheap/a?x=a%20b',
  '/cheap/a?u=https%3A%2F%2Fx.example%2F..%2Fy',
  '/cheap/a?u=/../x',
  '/cheap/a;v=1',
  '/cheap/a%20b',
  '/cheap/a+b',
  '/cheap/%C3%A9',
  '/cheap/...',
  '/cheap/.well-known',
  `/cheap/${'x'.repeat(300)}`,
  `/cheap/${'x'.repeat(299)}y`,
]

/** Spellings that some frameworks make the same, or redirect. */
const SPELLED = [
  '/cheap/a',
  '/cheap/a/',
  '/cheap/a?',
  '/cheap/a?x',
  '/cheap/a?x=',
  '/cheap/a?x=1',
  '/cheap/a?x=%31',
  '/cheap/a?x=a+b',
  '/cheap/a?x=a%20b',
]

/** What a payment is bound to, besides its body: realm, method, path and query. */
export function scopeQuestions(bench: Bench): void {
  const { ask, credential, pay, quote, route, send, store } = bench
  const cheap = route('/cheap', { kind: 'text', body: 'cheap' }, { tree: true, price: { amount: '1' } })
  route('/dear', { kind: 'text', body: 'dear' }, { tree: true, price: { amount: '500' } })
  const one = route('/scope/one', { kind: 'text', body: 'one' })
  const two = route('/scope/two', { kind: 'text', body: 'two' })
  const any = route('/scope/any', { kind: 'text', body: 'any' }, { verb: 'all' })
  const inner = route('/inner', { kind: 'text', body: 'inner' }, { prefix: '/scope/mounted' })
  const twin = route('/inner', { kind: 'text', body: 'twin' })

  async function fitsOnly(bought: Asked, other: Asked): Promise<void> {
    const good = await credential(bought)
    const writes = store.written.length
    expectRefusal(await send(withCredential(other, good)), 'invalid-challenge')
    expect([store.written.length, other.starts]).toEqual([writes, other.starts])
    expectPaid(await send(withCredential(bought, good)))
  }

  ask(
    'route',
    ['CORE-059', 'CORE-139'],
    'a credential for one route buys nothing on another of the same price',
    async () => {
      await fitsOnly(one, two)
      expect(two.starts).toBe(0)
    },
  )

  ask('method', ['CORE-059'], 'a credential for GET buys no other method', async () => {
    const good = await credential(any)
    for (const method of ['POST', 'PUT', 'DELETE']) {
      expectRefusal(await send(withCredential({ target: any.target, method }, good)), 'invalid-challenge')
    }
    expect(any.starts).toBe(0)
    expectPaid(await send(withCredential(any, good)))
  })

  ask(
    'mounted',
    ['CORE-001', 'CORE-007', 'CORE-059'],
    'a route of a mounted part is priced under its whole path',
    async () => {
      const got = await pay(inner)
      expectPaid(got)
      expect(got.text).toBe('inner')
      await fitsOnly(inner, twin)
      await fitsOnly(twin, inner)
    },
  )

  for (const [key, what, targets] of [
    ['targets', 'target', PLAIN],
    ['spellings', 'spelling of a target', SPELLED],
  ] as const)
    ask(
      key,
      ['CORE-059', 'CORE-139'],
      `a credential for one ${what} buys no other, however alike they look`,
      async () => {
        const wrong: string[] = []
        const credentials = await Promise.all(targets.map((target) => credential({ target })))
        const starts = cheap.starts
        for (const [at, target] of targets.entries()) {
          for (const other of [(at + 1) % targets.length, (at + targets.length - 1) % targets.length]) {
            const got = await send(withCredential({ target }, credentials[other]!))
            if (got.status !== 402) wrong.push(`${targets[other]} bought ${target}: ${got.status}`)
          }
        }
        expect(wrong).toEqual([])
        expect(cheap.starts).toBe(starts)
        for (const [at, target] of targets.entries())
          expectPaid(await send(withCredential({ target }, credentials[at]!)))
      },
    )

  const refused: [key: string, what: string, targets: string[]][] = [
    ['dotted-targets', 'with dot segments or backslashes', DOTTED],
    ['doubtful-targets', 'that can be read in two ways', DOUBTFUL],
    ['absolute-targets', 'in absolute form', ABSOLUTE],
  ]
  for (const [key, what, targets] of refused) {
    ask(key, ['CORE-139'], `a target ${what} is refused before it is priced`, async () => {
      const wrong: string[] = []
      for (const target of targets) {
        const got = await send({ target })
        // Or a redirect of the framework itself, to a plain target.
        if (![400, 404, 308].includes(got.status)) wrong.push(`${target}: ${got.status}`)
        if (got.get('www-authenticate') !== null) wrong.push(`${target} has a price`)
      }
      expect(wrong).toEqual([])
    })
  }

  ask(
    'no-smuggling',
    ['CORE-059', 'CHG-029'],
    'whatever a framework makes of a target, the dear is never had for the price of the cheap',
    async () => {
      const wrong: string[] = []
      const amount = async (target: string): Promise<unknown> =>
        decodeRequest((await quote({ target }))[0]!.request).amount
      const prices = { cheap: await amount('/cheap/x'), dear: await amount('/dear/x') }
      expect(prices.cheap).not.toBe(prices.dear)
      for (const target of [...DOTTED, ...DOUBTFUL, ...ABSOLUTE, ...ODD]) {
        const asked = await send({ target })
        if (asked.text === 'dear' || asked.text === 'cheap')
          wrong.push(`${target}: ${asked.text} for nothing`)
        if (asked.status !== 402) continue
        const [challenge] = challengesOf(asked)
        const got = await send(withCredential({ target }, await bench.sign(challenge!)))
        const asks = decodeRequest(challenge!.request).amount
        if (got.status === 200 && asks !== prices[got.text as 'cheap' | 'dear'])
          wrong.push(`${target}: ${got.text} for ${JSON.stringify(asks)}`)
      }
      expect(wrong).toEqual([])
    },
  )
}
