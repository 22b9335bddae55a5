import { decodeRequest, parseChallenges, parsePaymentInfo } from '@mppkit/core'
import type { Api, ShadowEvent } from '@mppkit/server'
import { createToyLedger, toyMethod } from '@mppkit/testing/toy'
import { describe, expect, test, vi } from 'vitest'

const ledger = createToyLedger()

/** What every framework of the discovery test makes its `createMpp` with. */
export const sellerOptions = {
  realm: 'described.example',
  secret: 'a-secret-of-at-least-thirty-two-bytes!!',
  origin: 'http://localhost',
  methods: [
    toyMethod({ ledger, recipient: 'shop' }),
    toyMethod({ ledger, name: 'coin', currency: 'eur', decimals: 3, recipient: 'till' }),
  ],
} as const

/** The same, or the same in shadow mode. */
export type Options = typeof sellerOptions & { enforce?: boolean; onShadow?: (event: ShadowEvent) => void }

interface Charges<Guard> {
  charge(price: {
    amount: string | ((request: { target: string }) => string | null)
    currency?: string
    recipient?: string
    description?: string
    externalId?: string
    page?: boolean
    toy?: false | { currency?: string }
    coin?: false | { recipient?: string; description?: string }
  }): Guard
}

/** The guards of the routes that a framework of the discovery test serves; the names are the paths. */
export function guardsOf<Guard>({ charge }: Charges<Guard>) {
  return {
    constant: charge({ amount: '1.50' }),
    told: charge({ amount: '0.10', description: 'A photo, “as is”, 1 piece', externalId: 'o-1' }),
    overridden: charge({
      amount: '0.20',
      coin: { recipient: 'eu', description: 'In coins' },
      toy: { currency: 'gbp' },
    }),
    withheld: charge({ amount: '3.00', currency: 'eur', coin: false }),
    identity: charge({ amount: '0' }),
    page: charge({ amount: '0.30', description: 'For <you>', page: true }),
    computed: charge({ amount: ({ target }) => (target.includes('big') ? '9.00' : '1.00') }),
  }
}

export type Guards<Guard> = ReturnType<typeof guardsOf<Guard>>

/** The same API for all: each guard on its path, one with a parameter, one on POST, and one route that is free. */
export function apiOf<Guard>(guards: Guards<Guard>): Api<Guard> {
  const { constant, told, overridden, withheld, identity, page, computed } = guards
  return {
    info: { title: 'Photos', version: '1.0.0', description: 'Photos by the piece' },
    service: { categories: ['media'], docs: { homepage: 'https://photos.example' } },
    paths: {
      '/constant/{id}': { get: constant },
      '/told': { get: { guard: told, summary: 'One photo' } },
      '/overridden': { post: { guard: overridden, requestBody: { content: { 'text/plain': {} } } } },
      '/withheld': { get: withheld },
      '/identity': { get: identity },
      '/page': { get: page },
      '/computed': { get: computed },
      '/free': { get: { summary: 'Says pong' } },
    },
  }
}

/** A request to the app of the framework under test. */
export type Ask = (path: string, init?: RequestInit) => Promise<Response>

/** Asks a framework that serves `apiOf` whether what it announces is what it asks. */
export function askDiscovery(
  name: string,
  start: (options: Options) => Promise<{ ask: Ask; close?(): unknown }>,
): void {
  describe(name, () => {
    test(`DISC-005 DISC-007 DISC-022 DISC-038 DISC-044 what is announced is what is asked`, async () => {
      const { ask, close } = await start(sellerOptions)
      try {
        const served = await ask('/openapi.json')
        expect(served.status).toBe(200)
        expect(served.headers.get('content-type')).toMatch(/^application\/json(;|$)/)
        expect(served.headers.get('cache-control')).toBe('public, max-age=300')
        expect(served.headers.get('access-control-allow-origin')).toBe('*')
        expect(served.headers.get('www-authenticate')).toBeNull()
        const document = (await served.json()) as {
          paths: Record<string, Record<string, { 'x-payment-info'?: unknown; responses: object }>>
        }
        let asked = 0
        for (const [path, item] of Object.entries(document.paths))
          for (const [verb, operation] of Object.entries(item)) {
            const method = verb.toUpperCase()
            const body = method === 'POST' ? 'a letter' : null
            const answer = await ask(path.replaceAll(/\{\w+\}/g, '7'), { method, body })
            const offers = parsePaymentInfo(operation['x-payment-info'])
            if (!offers) {
              expect([path, operation['x-payment-info'], answer.status]).toEqual([path, undefined, 200])
              continue
            }
            asked++
            expect([path, answer.status]).toEqual([path, 402])
            expect(Object.keys(operation.responses)).toContain('402')
            const { challenges } = parseChallenges(answer.headers.get('www-authenticate') ?? '')
            const isComputed = path === '/computed'
            // The same bytes in the document as in the request of the challenge, but for an amount that nobody knows yet.
            const runtime = challenges.map(({ method, intent, request }) => {
              const { amount, currency, description } = decodeRequest(request)
              return { intent, method, amount: isComputed ? null : amount, currency, description }
            })
            expect(JSON.stringify(offers)).toBe(JSON.stringify(runtime))
          }
        expect(asked).toBe(7)
        const dear = await ask('/computed?big')
        const [challenge] = parseChallenges(dear.headers.get('www-authenticate') ?? '').challenges
        expect(decodeRequest(challenge!.request)['amount']).toBe('900')
        const llms = await ask('/llms.txt')
        expect([llms.status, llms.headers.get('content-type')]).toEqual([
          200,
          expect.stringMatching(/^text\/plain/),
        ])
        expect(await llms.text()).toContain(
          '`GET http://localhost/told`: One photo. Price: 0.10 USD by toy or 0.10 EUR by coin.',
        )
      } finally {
        await close?.()
      }
    })

    test('CORE-001 who opens a paid address in a browser gets a page, and programs the problem', async () => {
      const { ask, close } = await start(sellerOptions)
      try {
        const browser = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' }
        const page = await ask('/page', { headers: browser })
        expect([page.status, page.headers.get('content-type')]).toEqual([402, 'text/html; charset=utf-8'])
        expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")
        expect(page.headers.get('cache-control')).toBe('no-store')
        expect(page.headers.get('vary')).toMatch(/\bAccept\b/)
        expect(parseChallenges(page.headers.get('www-authenticate') ?? '').challenges).toHaveLength(2)
        expect(await page.text()).toContain('<title>For &lt;you&gt;</title>')
        for (const [path, accept] of [
          ['/page', '*/*'],
          ['/told', browser.accept],
        ] as const) {
          const problem = await ask(path, { headers: { accept } })
          expect([path, problem.status, problem.headers.get('content-type')]).toEqual([
            path,
            402,
            'application/problem+json',
          ])
        }
      } finally {
        await close?.()
      }
    })

    test('in shadow mode everybody is let in, and what it would have cost is told', async () => {
      const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
      const events: ShadowEvent[] = []
      const { ask, close } = await start({
        ...sellerOptions,
        enforce: false,
        onShadow: (event) => void events.push(event),
      })
      try {
        expect(warn).toHaveBeenCalledTimes(1)
        const paths = [
          '/constant/7',
          '/told',
          '/overridden',
          '/withheld',
          '/identity',
          '/page',
          '/computed?big',
        ]
        for (const path of paths) {
          const method = path === '/overridden' ? 'POST' : 'GET'
          const headers = { accept: 'text/html', authorization: 'Payment e30' }
          const answer = await ask(path, { method, headers, body: method === 'POST' ? 'a letter' : null })
          expect([path, answer.status, await answer.text()]).toEqual([path, 200, 'sold'])
          for (const field of ['www-authenticate', 'payment-receipt', 'vary'])
            expect([path, field, answer.headers.get(field)]).toEqual([path, field, null])
        }
        expect(
          events.map((event) => [event.target, event.credential, event.would === 'charge' && event.amount]),
        ).toEqual(
          ['1.50', '0.10', '0.20', '3.00', '0', '0.30', '9.00'].map((amount, at) => [
            paths[at],
            true,
            amount,
          ]),
        )
        const { paths: described } = (await (await ask('/openapi.json')).json()) as { paths: object }
        expect(JSON.stringify(described)).not.toContain('x-payment-info')
      } finally {
        warn.mockRestore()
        await close?.()
      }
    })
  })
}
