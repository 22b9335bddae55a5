import {
  bindingInput,
  canonicalize,
  computeDigest,
  createBinding,
  encodeBase64url,
  formatTime,
  isPeriodUnit,
  isPositiveInteger,
  isSubscriptionId,
  parseAcceptPayment,
  parseChallenges,
  parseCredential,
  parseJson,
  parsePaymentInfo,
  parseReceipt,
  parseTime,
  periodStart,
  rankOffers,
  readAuthorization,
  verifyDigest,
  type Challenge,
  type Credential,
} from '@mppkit/core'
import { answerMcp } from './lib/vectors-mcp.ts'
import { cook, type Lines } from './lib/vectors-recipe.ts'

/** One requirement as data; the members of `input` and `expected` depend on `kind`. */
export interface Vector {
  id: string
  kind: string
  // oxlint-disable-next-line typescript/no-explicit-any -- shapes differ per kind, and wrong ones shall fail by themselves
  input: Record<string, any>
  // oxlint-disable-next-line typescript/no-explicit-any
  expected: Record<string, any>
}

export interface VectorResult {
  id: string
  kind: string
  pass: boolean | 'skipped'
  /** Why it failed or was skipped. */
  reason?: string
}

/**
 * Holds `@mppkit/core` against test vectors. Only outcomes count: the texts of `reason` and `reject` are remarks. Never
 * rejects.
 */
export async function runVectors(vectors: readonly Vector[]): Promise<VectorResult[]> {
  const lines = new Map<string, string>()
  const byId = new Map<string, Vector>()
  for (const vector of vectors) {
    byId.set(vector.id, vector)
    const [line] = (vector.input?.fieldLines ?? []) as unknown[]
    if (typeof line === 'string') lines.set(vector.id, line)
  }
  return await Promise.all(vectors.map((vector) => run(vector, { lines, byId })))
}

interface Scope {
  lines: Lines
  byId: ReadonlyMap<string, Vector>
}

async function run(vector: Vector, scope: Scope): Promise<VectorResult> {
  const { id, kind } = vector
  const check = Object.hasOwn(CHECKS, kind) ? CHECKS[kind] : undefined
  if (check === undefined) return { id, kind, pass: 'skipped', reason: 'unknown kind' }
  if (vector.expected.strength === 'UNSPECIFIED') return { id, kind, pass: 'skipped', reason: 'unspecified' }
  try {
    await check(vector, scope)
    return { id, kind, pass: true }
  } catch (error) {
    if (error instanceof Skip) return { id, kind, pass: 'skipped', reason: error.message }
    return { id, kind, pass: false, reason: String(error) }
  }
}

class Skip extends Error {}

class Mismatch extends Error {
  override readonly name = 'Mismatch'
}

const CHECKS: Record<string, (vector: Vector, scope: Scope) => void | Promise<void>> = {
  'jcs-base64url': ({ input, expected }) => {
    const canonical = canonicalize(jsonOf(input))
    equal('canonical', canonical, expected.canonical)
    equal('utf8Hex', hex(new TextEncoder().encode(canonical)), expected.utf8Hex)
    equal('base64url', encodeBase64url(canonical), expected.base64url)
  },
  'jcs-reject': ({ input }) => {
    equal(
      'rejected',
      isThrown(() => canonicalize(jsonOf(input))),
      true,
    )
  },
  'hmac-binding': async ({ input, expected }, { byId }) => {
    const params = input.params as Challenge
    if ('requestJson' in input)
      equal('request', encodeBase64url(canonicalize(input.requestJson)), params.request)
    if ('opaqueJson' in input) equal('opaque', encodeBase64url(canonicalize(input.opaqueJson)), params.opaque)
    if ('bodyUtf8' in input) equal('digest', await computeDigest(bytesOf(input)), params.digest)
    const joined = bindingInput(params)
    const id = await createBinding([input.secretUtf8]).sign(joined)
    equal('hmacInput', joined, expected.hmacInput)
    equal('id', id, expected.id)
    const twin = byId.get(expected.collidesWith)
    if (twin !== undefined) equal('collision', twin.expected.id, id)
  },
  'binding-verify': async ({ input, expected }) => {
    const challenge = input.challenge as Challenge
    const binding = createBinding([input.secretUtf8])
    const valid = await binding.verify(challenge)
    // "valid" is then about the hash alone, and something else shall stop the challenge.
    if (String(expected.recommended).startsWith('reject')) {
      equal('hash', (await binding.sign(bindingInput(challenge))) === challenge.id, expected.valid)
      equal('accepted', valid, false)
    } else equal('valid', valid, expected.valid)
  },
  'digest-compute': async ({ input, expected }) => {
    for (const algorithm of ['sha-256', 'sha-512'] as const) {
      if (algorithm in expected) {
        equal(algorithm, await computeDigest(bytesOf(input), algorithm), expected[algorithm])
      }
    }
  },
  'digest-verify': async ({ input, expected }) => {
    equal('ok', await verifyDigest(input.digest, bytesOf(input)), expected.ok)
  },
  expires: ({ input, expected }) => {
    const at = parseTime(input.expires)
    const now = parseTime(input.now)
    if (now === undefined) throw new Mismatch('now is no time')
    equal('result', at === undefined ? 'malformed' : now < at ? 'valid' : 'expired', expected.result)
    if ('epochMs' in expected) equal('epochMs', at, expected.epochMs)
  },
  'challenge-parse': ({ input, expected }, { lines }) => {
    const { challenges } = parseChallenges(fieldLines(input, lines))
    equal(
      'accepted',
      challenges.map(({ id }) => id),
      expected.accept,
    )
    for (const [index, values] of Object.entries<Record<string, string>>(expected.values ?? {})) {
      const challenge = { ...challenges[Number(index)] } as Record<string, unknown>
      for (const [name, value] of Object.entries(values)) equal(name, challenge[name], value)
    }
  },
  'credential-parse': async ({ input, expected }, { lines }) => {
    const { outcome, credential } = readCredential(fieldLines(input, lines).join(', '))
    if ((expected.alsoAcceptable ?? []).includes(outcome)) return
    equal('outcome', outcome, expected.outcome)
    if (credential === undefined) return
    if ('decoded' in expected) equalCredential(credential, expected.decoded)
    if ('secretUtf8' in input && String(expected.http?.next).startsWith('binding OK')) {
      equal('bound', await createBinding([input.secretUtf8]).verify(credential.challenge), true)
    }
  },
  'accept-payment-parse': ({ input, expected }, { lines }) => {
    const ranges = parseAcceptPayment(fieldLines(input, lines).join(', '))
    equal('malformed', ranges === undefined, expected.malformed)
    if ('ranges' in expected) equal('ranges', ranges, rangesOf(expected.ranges))
  },
  'accept-payment-rank': ({ input, expected }) => {
    const offers = (input.offers as string[]).map((offer) => {
      const [method = '', intent = ''] = offer.split('/')
      return { offer, method, intent }
    })
    const field: unknown = input.acceptPayment ?? input.fieldLines?.join(', ')
    const ranges = typeof field === 'string' ? parseAcceptPayment(field) : undefined
    equal(
      'order',
      rankOffers(offers, ranges ?? []).map(({ offer }) => offer),
      expected.order,
    )
  },
  'receipt-parse': ({ input, expected }, { lines }) => {
    const field: string = input.header ?? fieldLines(input, lines).join(', ')
    equal('ok', !isThrown(() => parseReceipt(field)), expected.ok)
    // A missing reference reads as empty.
    if (expected.ok && 'decoded' in expected)
      equal('decoded', parseReceipt(field), { reference: '', ...expected.decoded })
  },
  'subscription-id': ({ input, expected }) =>
    equal('ok', isSubscriptionId(input.subscriptionId), expected.ok),
  'subscription-positive-integer': ({ input, expected }) =>
    equal('ok', isPositiveInteger(input.value), expected.ok),
  'subscription-period-unit': ({ input, expected }) =>
    equal('ok', isPeriodUnit(input.periodUnit), expected.ok),
  'subscription-boundaries': ({ input, expected }) => {
    const anchor = parseTime(input.anchor)
    if (anchor === undefined) throw new Mismatch('anchor is no time')
    const starts: string[] = []
    for (let n = 0; n <= input.n; n++) {
      starts.push(formatTime(periodStart(anchor, input.periodUnit, Number(input.periodCount), n) / 1000))
    }
    equal('starts', starts, expected.starts)
  },
  'x-payment-info': ({ input, expected }) =>
    equal('ok', parsePaymentInfo(input.value) !== undefined, expected.ok),
  'mcp-binding': async ({ input, expected }) => {
    const request = encodeBase64url(canonicalize(input.challenge.request))
    equal('requestBase64url', request, expected.requestBase64url)
    const joined = bindingInput({ ...input.challenge, request })
    equal('id', await createBinding([input.secretUtf8]).sign(joined), expected.id)
  },
  'mcp-message': async ({ input, expected }) => {
    const now = parseTime(input.now ?? '2025-01-15T12:00:00Z')!
    const outcome = await answerMcp(String(input.context ?? ''), input.message, now)
    if ((expected.alsoAcceptable ?? []).includes(outcome.errorCode)) return
    for (const name of ['next', 'errorCode', 'result', 'receipt', 'response', 'executed'] as const) {
      if (name in expected) equal(name, outcome[name], expected[name])
    }
  },
}

/** Step 5 and 6 of a server: count the credentials, then decode the only one. */
function readCredential(field: string): { outcome: string; credential?: Credential } {
  const { tokens, malformed } = readAuthorization(field)
  if (tokens.length > 1) return { outcome: 'multiple' }
  if (malformed !== undefined) return { outcome: 'malformed' }
  const [token] = tokens
  if (token === undefined) return { outcome: 'absent' }
  try {
    return { outcome: 'parsed', credential: parseCredential(token) }
  } catch (error) {
    const { code } = error as { code?: string }
    return { outcome: code === 'malformed-credential' ? 'malformed' : `threw ${String(error)}` }
  }
}

const ECHOED = [
  'id',
  'realm',
  'method',
  'intent',
  'request',
  'expires',
  'digest',
  'opaque',
  'description',
] as const

/** Unknown members may be kept or dropped. */
function equalCredential(actual: Credential, expected: Credential): void {
  for (const name of ECHOED) equal(`challenge.${name}`, actual.challenge[name], expected.challenge[name])
  equal('payload', actual.payload, expected.payload)
  equal('source', actual.source, expected.source)
}

function jsonOf(input: Vector['input']): unknown {
  const source: unknown = input.valueSource ?? input.jsonSource
  return typeof source === 'string' ? parseJson(source) : input.value
}

function bytesOf(input: Vector['input']): Uint8Array {
  return new TextEncoder().encode(input.bodyUtf8)
}

function fieldLines(input: Vector['input'], lines: Lines): string[] {
  if (Array.isArray(input.fieldLines)) return input.fieldLines as string[]
  if (typeof input.header === 'string') return [input.header]
  const cooked = typeof input.recipe === 'string' ? cook(input.recipe, lines) : undefined
  if (cooked === undefined) throw new Skip(`no field lines and no known recipe: ${JSON.stringify(input)}`)
  return [cooked]
}

/** A list, or the words `5000 ranges {method:"tempo", intent:"i<i>", q:1}`. */
function rangesOf(ranges: unknown): unknown {
  const words = typeof ranges === 'string' ? /^([0-9]+) ranges \{(.*)\}$/.exec(ranges) : null
  if (words === null) return ranges
  const json = words[2]!.replaceAll(/([a-z]+):/g, '"$1":')
  return Array.from(
    { length: Number(words[1]) },
    (_, index) => JSON.parse(`{${json.replaceAll('<i>', String(index))}}`) as unknown,
  )
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function isThrown(action: () => unknown): boolean {
  try {
    action()
    return false
  } catch {
    return true
  }
}

function equal(what: string, actual: unknown, expected: unknown): void {
  const [a, b] = [comparable(actual), comparable(expected)]
  if (a !== b) throw new Mismatch(`${what}: ${shorten(a)} instead of ${shorten(b)}`)
}

function comparable(value: unknown): string {
  return value === undefined ? 'nothing' : canonicalize(value)
}

function shorten(text: string): string {
  return text.length > 300 ? `${text.slice(0, 300)}…` : text
}
