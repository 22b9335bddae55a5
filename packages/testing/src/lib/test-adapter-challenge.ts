import { createHmac } from 'node:crypto'
import { canonicalize, decodeBase64urlText, parseBaseUnits, parseTime, type JsonValue } from '@mppkit/core'
import { expect } from 'vitest'
import { challengesOf, problemOf, REALM, SECRET, type Bench } from './test-adapter-bench.ts'
import { toyMethod } from './toy-method.ts'

const PARAMETER = /[a-z][a-z0-9_-]*=(?:"(?:[^"\\\p{Cc}]|\\[\x20-\x7e])*"|[!#$%&'*+.^_`|~0-9A-Za-z-]+)/u
const LINE = new RegExp(`^Payment ${PARAMETER.source}(?:, ?${PARAMETER.source})*$`, 'u')

/** What a 402 looks like. */
export function challengeQuestions(bench: Bench): void {
  const { ask, quote, send, route } = bench
  const content = route('/challenge/content', { kind: 'text', body: 'the paid content' })
  const posted = route('/challenge/posted', { kind: 'json', body: {} }, { verb: 'post' })
  const long = route('/challenge/long', { kind: 'json', body: {} }, { tree: true })
  const withMeta = route(
    '/challenge/meta',
    { kind: 'json', body: {} },
    { price: { amount: '1', meta: { order: 'o-1', Zed: 'z' } } },
  )
  const brief = route(
    '/challenge/brief',
    { kind: 'json', body: {} },
    { price: { amount: '1', lifetime: 30 } },
  )
  const free = route('/challenge/free', { kind: 'text', body: 'free' }, { gates: [] })

  ask(
    'challenge',
    ['CORE-001', 'CORE-013', 'CORE-019', 'CORE-022', 'CORE-033', 'CORE-038', 'CHG-002', 'CHG-005'],
    'a priced route asks for money and runs nothing',
    async () => {
      const got = await send(content)
      expect(got.status).toBe(402)
      const [challenge, ...others] = challengesOf(got)
      expect(others).toEqual([])
      expect(challenge).toMatchObject({
        id: expect.stringMatching(/./),
        realm: REALM,
        intent: 'charge',
        request: expect.stringMatching(/./),
      })
      expect(got.get('payment-receipt')).toBeNull()
      expect(got.text).not.toContain('the paid content')
      expect(content.starts).toBe(0)
    },
  )

  ask(
    'challenge-syntax',
    ['CORE-021', 'CORE-025', 'CORE-026', 'CORE-029', 'CORE-032', 'CORE-116', 'CORE-117'],
    'the field is exactly what RFC 9110 allows, on one line',
    async () => {
      for (const asked of [content, withMeta, brief]) {
        const [line, ...others] = (await send(asked)).all('www-authenticate')
        expect(others).toEqual([])
        expect(line).toMatch(LINE)
        expect(line).toContain('realm="')
        expect(line).not.toMatch(/\s=|=\s|,\s*,/)
        const names = [...line!.matchAll(/(?<=Payment |, ?)([A-Za-z0-9_-]+)=/g)].map(([, name]) => name!)
        expect(names.length).toBeGreaterThan(5)
        expect(new Set(names).size).toBe(names.length)
        expect(names).toEqual(names.map((name) => name.toLowerCase()))
      }
    },
  )

  ask(
    'challenge-values',
    ['CORE-039', 'CORE-041', 'CORE-042', 'CORE-084', 'CORE-122'],
    'method, intent and realm are plain',
    async () => {
      const [challenge] = await quote(content)
      expect(challenge!.method).toMatch(/^[a-z]+$/)
      expect(challenge!.intent).toMatch(/^[a-z0-9-]+$/)
      expect(challenge!.realm).toMatch(/^[\x20-\x7e]+$/)
    },
  )

  ask(
    'challenge-request',
    [
      'CORE-043',
      'CORE-044',
      'CORE-045',
      'CORE-121',
      'CHG-003',
      'CHG-006',
      'CHG-007',
      'CHG-009',
      'CHG-010',
      'CHG-011',
      'CHG-012',
      'CHG-014',
      'CHG-016',
    ],
    'the request is canonical JSON of the shared fields, in unpadded base64url',
    async () => {
      const [challenge] = await quote(content)
      expect(challenge!.request).toMatch(/^[A-Za-z0-9_-]+$/)
      const text = decodeBase64urlText(challenge!.request)
      const request = JSON.parse(text) as Record<string, JsonValue>
      expect(canonicalize(request)).toBe(text)
      expect(parseBaseUnits(request.amount)).toBeGreaterThan(0n)
      expect(request.currency).toMatch(/^([a-z]{3}|0x[0-9a-fA-F]{40})$/)
      const known = ['amount', 'currency', 'recipient', 'description', 'externalId', 'methodDetails']
      expect(Object.keys(request).filter((member) => !known.includes(member))).toEqual([])
    },
  )

  ask(
    'challenge-expires',
    ['CORE-049', 'CORE-050'],
    'it says until when, and means the lifetime of the price',
    async () => {
      const [challenge] = await quote(brief)
      const left = parseTime(challenge!.expires!)! - Date.now()
      expect(left).toBeGreaterThan(25_000)
      expect(left).toBeLessThan(35_000)
    },
  )

  ask(
    'challenge-opaque',
    ['CORE-053', 'CORE-055', 'CORE-056'],
    'opaque is a canonical flat map of strings and holds the seller’s own',
    async () => {
      const [challenge] = await quote(withMeta)
      const text = decodeBase64urlText(challenge!.opaque!)
      const opaque = JSON.parse(text) as Record<string, unknown>
      expect(canonicalize(opaque)).toBe(text)
      expect(Object.values(opaque).every((value) => typeof value === 'string')).toBe(true)
      expect(opaque).toMatchObject({ order: 'o-1', Zed: 'z' })
    },
  )

  ask('challenge-unique', ['CORE-037', 'CORE-154'], '200 at once: 200 ids', async () => {
    const all = await Promise.all(Array.from({ length: 200 }, () => quote(content)))
    expect(new Set(all.map(([challenge]) => challenge!.id)).size).toBe(200)
  })

  ask('challenge-size', ['CORE-118'], 'it stays below 8 KB, however long the target is', async () => {
    const got = await send({ target: `${long.target}/${'x'.repeat(7000)}` })
    expect(got.status).toBe(402)
    expect(got.get('www-authenticate')!.length).toBeLessThan(8192)
  })

  ask('challenge-uncached', ['CORE-155', 'CORE-154'], 'a 402 is not to be stored', async () => {
    expect((await send(content)).get('cache-control')).toMatch(/(^|,\s*)no-store(\s*,|$)/)
  })

  ask(
    'problem',
    ['CORE-010', 'CORE-105', 'CORE-106', 'CORE-107', 'CORE-108', 'CORE-109'],
    'the body is a problem, the challenge carries no errors',
    async () => {
      const got = await send(content)
      expect(problemOf(got)).toBe('payment-required')
      expect(got.json().type).toBe('https://paymentauth.org/problems/payment-required')
      expect(got.get('www-authenticate')).not.toMatch(/error/i)
      expect(got.get('retry-after') ?? '0').toMatch(/^\d+$|GMT$/)
    },
  )

  ask(
    'binding',
    ['CORE-035', 'CORE-058', 'CORE-061', 'CORE-062', 'CORE-063'],
    'the id is the HMAC over seven slots of wire text, empty ones included',
    async () => {
      for (const raw of [content, withMeta, { target: posted.target, method: 'POST', body: '{"a":1}' }]) {
        const [challenge] = await quote(raw)
        const { realm, method, intent, request, expires = '', digest = '', opaque = '', id } = challenge!
        const input = [realm, method, intent, request, expires, digest, opaque].join('|')
        expect(createHmac('sha256', SECRET).update(input).digest('base64url')).toBe(id)
      }
    },
  )

  ask('exposed', [], 'scripts of other origins may read challenge and receipt', async () => {
    const exposed = (await send(content)).get('access-control-expose-headers')?.toLowerCase()
    expect(exposed).toContain('www-authenticate')
    expect(exposed).toContain('payment-receipt')
  })

  ask('free', ['CORE-014'], 'a route without a gate is left alone, with a credential too', async () => {
    const credential = await bench.credential(content)
    for (const headers of [[], [['Authorization', credential]]] as [string, string][][]) {
      const got = await send({ target: free.target, headers })
      expect([got.status, got.text, got.get('payment-receipt'), got.get('www-authenticate')]).toEqual([
        200,
        'free',
        null,
        null,
      ])
    }
  })

  ask('unknown', ['CORE-017', 'CORE-018'], 'what does not exist is 404, without a price', async () => {
    const got = await send({ target: '/challenge/no-such-route' })
    expect(got.status).toBe(404)
    expect(got.get('www-authenticate')).toBeNull()
  })

  acceptPaymentQuestions(bench)
}

/** Which offers are made, and in which order. */
function acceptPaymentQuestions({ ask, gates, toy, ledger, route, send }: Bench): void {
  const coin = toyMethod({ ledger, name: 'coin', recipient: 'shop' })
  const shell = toyMethod({ ledger, name: 'shell', recipient: 'shop' })
  const offered = route(
    '/challenge/offers',
    { kind: 'json', body: {} },
    { with: gates({ methods: [toy, coin, shell] }) },
  )

  async function offers(...lines: string[]): Promise<string[]> {
    const headers = lines.map((line) => ['Accept-Payment', line] as const)
    const got = await send({ target: offered.target, headers })
    expect(got.status).toBe(402)
    return challengesOf(got).map(({ method }) => method)
  }

  ask(
    'offers',
    ['CORE-097', 'CORE-161'],
    'all rails are offered, each with its own id, of one quote',
    async () => {
      const challenges = challengesOf(await send(offered))
      expect(challenges.map(({ method }) => method)).toEqual(['toy', 'coin', 'shell'])
      expect(new Set(challenges.map(({ id }) => id)).size).toBe(3)
      expect(new Set(challenges.map(({ opaque }) => opaque)).size).toBe(1)
    },
  )

  ask(
    'accept-payment',
    [
      'CORE-090',
      'CORE-091',
      'CORE-092',
      'CORE-093',
      'CORE-094',
      'CORE-095',
      'CORE-096',
      'CORE-101',
      'CORE-102',
      'CORE-103',
      'CORE-104',
    ],
    'Accept-Payment ranks and leaves out',
    async () => {
      expect(await offers('coin/charge, toy/charge;q=0.5, shell/*;q=0.3')).toEqual(['coin', 'toy', 'shell'])
      expect(await offers('shell/charge, toy/charge, coin/charge')).toEqual(['toy', 'coin', 'shell'])
      expect(await offers('coin/charge')).toEqual(['coin'])
      expect(await offers('*/*, toy/charge;q=0')).toEqual(['coin', 'shell'])
      expect(await offers('*/*;q=0.1, coin/*;q=0.8, shell/charge;Q=0')).toEqual(['coin', 'toy'])
      expect(await offers('*/charge;q=0.2, toy/*;q=0.1')).toEqual(expect.arrayContaining(['coin', 'shell']))
      expect(await offers('shell/charge;q=0.4', 'coin/charge', 'x/y')).toEqual(['coin', 'shell'])
    },
  )

  ask(
    'accept-payment-useless',
    ['CORE-018', 'CORE-098', 'CORE-099'],
    'a header that fits nothing, or is malformed, changes nothing',
    async () => {
      const useless = [
        'solana/charge',
        '*/*;q=0',
        'coin',
        'coin/',
        '/charge',
        'coin//charge',
        'Coin/charge',
        'coin/charge;q=2',
        'coin/charge;q=.5',
        'coin/charge;q=0.1234',
        'coin/charge;v=1',
        '"coin/charge"',
        '*',
        '{"coin":"charge"}',
        'coin/charge,q=0.5',
        ';;;',
        '=',
      ]
      for (const accept of useless)
        expect([accept, ...(await offers(accept))]).toEqual([accept, 'toy', 'coin', 'shell'])
      const many = Array.from({ length: 400 }, (_, index) => `coin/i${index}`).join(', ')
      expect((await offers(many)).length).toBeGreaterThan(0)
    },
  )
}
