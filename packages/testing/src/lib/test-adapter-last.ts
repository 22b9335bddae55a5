import { expect } from 'vitest'
import { challengesOf, OLD_SECRET, SECRET, untoken, type Bench } from './test-adapter-bench.ts'

/** What must hold of every answer that was given so far. */
export function lastQuestions({ ask, buyer, errors, reports }: Bench): void {
  ask(
    'every-402',
    ['CORE-009', 'CORE-019', 'CORE-022', 'CORE-118', 'CORE-155'],
    'every 402 had a challenge that can be read, below 8 KB, and was not to be stored',
    async () => {
      const all = buyer().seen.filter(({ got }) => got.status === 402)
      expect(all.length).toBeGreaterThan(100)
      for (const { got } of all) {
        expect(challengesOf(got).length).toBeGreaterThan(0)
        expect(got.get('cache-control')).toMatch(/no-store/)
        for (const line of got.all('www-authenticate'))
          expect(line.split(', Payment ')[0]!.length).toBeLessThan(8192)
      }
    },
  )

  ask(
    'every-receipt',
    ['CORE-080', 'CORE-081', 'CORE-156'],
    'every receipt came with a 2xx, in private',
    async () => {
      const all = buyer().seen.filter(({ got }) => got.get('payment-receipt') !== null)
      expect(all.length).toBeGreaterThan(50)
      for (const { got } of all) {
        expect(got.status).toBeGreaterThanOrEqual(200)
        expect(got.status).toBeLessThan(300)
        expect(got.get('cache-control')).toMatch(/private/)
      }
    },
  )

  ask(
    'every-refusal',
    ['CORE-010', 'CORE-105', 'CORE-106', 'CORE-155'],
    'every refusal was a problem that states its own status, and was not to be stored',
    async () => {
      const all = buyer().seen.filter(
        ({ got, raw }) =>
          raw.method !== 'HEAD' && (got.get('content-type') ?? '').startsWith('application/problem+json'),
      )
      const statuses = new Set(all.map(({ got }) => got.status))
      expect([...statuses]).toEqual(expect.arrayContaining([400, 402, 403, 409, 413, 429, 503]))
      for (const { got } of all) {
        expect(got.json()).toMatchObject({
          type: expect.stringMatching(/^(about:blank|https:\/\/paymentauth\.org\/problems\/[a-z-]+)$/),
          title: expect.stringMatching(/./),
          status: got.status,
          detail: expect.stringMatching(/./),
        })
        expect(got.get('cache-control')).toMatch(/no-store/)
        expect(got.get('payment-receipt')).toBeNull()
        if (got.status !== 402 && got.status !== 400) expect(got.get('www-authenticate')).toBeNull()
      }
    },
  )

  ask(
    'every-challenge',
    ['CORE-037', 'CORE-154', 'CORE-165'],
    'no challenge was ever given twice',
    async () => {
      const ids = buyer()
        .seen.flatMap(({ got }) => (got.status === 402 ? challengesOf(got) : []))
        .map(({ id }) => id)
      expect(new Set(ids).size).toBe(ids.length)
    },
  )

  ask(
    'no-401',
    ['CORE-011'],
    'no credential was ever answered with 401, and nothing but planned failures with 500',
    async () => {
      for (const { got, raw } of buyer().seen) {
        if (got.status === 401) expect(raw.target).toMatch(/^\/(price\/refusing|outcome\/)/)
        if (got.status === 500)
          expect(raw.target).toMatch(
            /^\/(delivery|once|mistakes|body|price|outcome|key|gone\/uncollected|wire\/any|(cheap|dear)\/%)/,
          )
      }
      expect(buyer().seen.length).toBeGreaterThan(500)
    },
  )

  ask(
    'secrets',
    ['CORE-130', 'CORE-133', 'CORE-134', 'CORE-151'],
    'no answer and no error held the secret, a credential, or a proof, and no answer somebody else’s receipt',
    async () => {
      const marks = new Set([SECRET, OLD_SECRET])
      for (const { raw } of buyer().seen) {
        for (const [, value] of raw.headers ?? []) {
          if (!value.startsWith('Payment ey') || value.includes(',') || value.length > 20_000) continue
          marks.add(value.slice('Payment '.length))
          const { signature } = untokenOrNothing(value)
          if (typeof signature === 'string' && signature.length > 20) marks.add(signature)
        }
      }
      expect(marks.size).toBeGreaterThan(100)
      const answers = buyer()
        .seen.filter(({ got }) => got.bytes.length < 100_000)
        .map(({ got }) => `${JSON.stringify(got.headers)}\n${got.text}`)
      const everything = [...answers, ...[...errors, ...reports].map(said)].join('\n')
      expect([...marks].filter((mark) => everything.includes(mark))).toEqual([])
      const receipts = new Map<string, string>()
      for (const { got, raw } of buyer().seen) {
        const receipt = got.get('payment-receipt')
        if (receipt === null) continue
        const paid = raw.headers?.findLast(([, value]) => /^payment /i.test(value))?.[1] ?? ''
        // A kept answer is given again, to the same credential only.
        expect(receipts.get(receipt) ?? paid).toBe(paid)
        receipts.set(receipt, paid)
      }
      expect(receipts.size).toBeGreaterThan(50)
      const bodies = buyer()
        .seen.filter(({ got }) => got.bytes.length < 100_000)
        .map(({ got }) => got.text)
        .join('\n')
      expect([...receipts.keys()].filter((receipt) => bodies.includes(receipt))).toEqual([])
    },
  )
}

/** All that would be seen of an error in a log: its causes and its stack as well. */
function said(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? said(error.cause) : ''
  return `${String(error)} ${JSON.stringify(error)} ${(error as Error | undefined)?.stack ?? ''} ${cause}`
}

function untokenOrNothing(value: string): Record<string, unknown> {
  try {
    return untoken(value).payload ?? {}
  } catch {
    return {}
  }
}
