import { existsSync, readFileSync } from 'node:fs'
import { canonicalize, encodeBase64url, type Challenge } from '@mppkit/core'
import type { Got } from './buyer.ts'
import { problemOf } from './test-adapter-bench.ts'

/** Field lines that are no credential of ours, and what a server may make of them. */
export interface Malformed {
  id: string
  lines: string[]
  outcomes: string[]
}

/** The credentials of the published vectors that no challenge of ours can belong to. */
export function corpus(): Malformed[] {
  const file = new URL('../../vectors/core.json', import.meta.url)
  if (!existsSync(file)) throw new Error('the vectors are missing: packages/testing/vectors/core.json')
  const vectors = JSON.parse(readFileSync(file, 'utf8')) as {
    id: string
    kind: string
    input: { fieldLines?: string[] }
    expected: { outcome: string; alsoAcceptable?: string[] }
  }[]
  return vectors.flatMap(
    ({ id, kind, input: { fieldLines: lines }, expected: { outcome, alsoAcceptable = [] } }) => {
      if (kind !== 'credential-parse' || !lines) return []
      // What no client can put on the wire.
      if (lines.some((line) => /[^\t\x20-\x7e\x80-\xff]/.test(line) || line.length > 14_000)) return []
      return [{ id, lines, outcomes: [outcome, ...alsoAcceptable] }]
    },
  )
}

/** What became of it, in the words of the vectors. */
export function outcomeOf(got: Got): string {
  if (got.status === 400 && problemOf(got) === 'about:blank') return 'multiple'
  if (got.status !== 402 && got.status !== 400) return `status ${got.status}`
  const code = problemOf(got)
  return { 'malformed-credential': 'malformed', 'payment-required': 'absent' }[code] ?? 'parsed'
}

/** The challenge, with one slot changed at a time. */
export function tamperings(challenge: Challenge): [string, object][] {
  const request = JSON.parse(Buffer.from(challenge.request, 'base64url').toString()) as Record<
    string,
    unknown
  >
  const opaque = JSON.parse(Buffer.from(challenge.opaque ?? 'e30', 'base64url').toString()) as Record<
    string,
    string
  >
  const encode = (value: unknown): string => encodeBase64url(canonicalize(value))
  const without = (member: keyof Challenge): object =>
    Object.fromEntries(Object.entries(challenge).filter(([name]) => name !== member))
  const reordered = encodeBase64url(JSON.stringify(Object.fromEntries(Object.entries(request).toReversed())))
  return [
    [
      'id',
      {
        ...challenge,
        id:
          `A${challenge.id.slice(1)}` === challenge.id
            ? `B${challenge.id.slice(1)}`
            : `A${challenge.id.slice(1)}`,
      },
    ],
    ['id cut', { ...challenge, id: challenge.id.slice(0, 22) }],
    ['realm', { ...challenge, realm: 'other.example' }],
    ['realm case', { ...challenge, realm: challenge.realm.toUpperCase() }],
    ['method', { ...challenge, method: 'nosuchmethod' }],
    ['method case', { ...challenge, method: challenge.method.toUpperCase() }],
    [
      'slot shift',
      {
        ...challenge,
        realm: `${challenge.realm}|${challenge.method}`,
        method: challenge.intent,
        intent: 'x',
      },
    ],
    ['intent', { ...challenge, intent: 'session' }],
    ['amount', { ...challenge, request: encode({ ...request, amount: '1' }) }],
    ['recipient', { ...challenge, request: encode({ ...request, recipient: 'thief' }) }],
    ['request spelling', { ...challenge, request: reordered }],
    ['request padding', { ...challenge, request: `${challenge.request}=` }],
    ['expires', { ...challenge, expires: '2099-01-01T00:00:00Z' }],
    ['expires spelling', { ...challenge, expires: challenge.expires!.replace('Z', '+00:00') }],
    ['no expires', without('expires')],
    ['digest', { ...challenge, digest: 'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:' }],
    ['no digest', without('digest')],
    ['opaque', { ...challenge, opaque: encode({ ...opaque, extra: '1' }) }],
    ['no opaque', without('opaque')],
  ]
}
