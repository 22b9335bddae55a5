import {
  canonicalize,
  decodeRequest,
  parseChallenges,
  parseReceipt,
  type Challenge,
  type JsonObject,
  type Receipt,
} from '@mppkit/core'
import { paidFor } from './pay-as.ts'

/** What a payment is about, as it stands on the wire; what is left out may be anything. */
export interface PaymentTerms {
  method?: string
  intent?: string
  realm?: string
  /** In base units: '1' is a cent. */
  amount?: string
  currency?: string
  recipient?: string
  description?: string
  externalId?: string
}

/** What the matchers add to `expect(…)`. */
export interface PaymentMatchers<R = void> {
  /** A 2xx with a receipt. Terms can be told of answers of `payAs` only; the receipt's own members of every answer. */
  toBePaid(terms?: PaymentTerms): R
  /** A 402 with a challenge on these terms. */
  toChallenge(terms?: PaymentTerms): R
}

interface Verdict {
  pass: boolean
  message(): string
}

/**
 * For `expect.extend(matchers)`. They take a `Response`, or an answer of Fastify's `inject`, supertest and their like:
 * anything with a status and headers.
 * @throws TypeError for anything else, negated or not
 */
export const matchers: {
  toBePaid(received: unknown, terms?: PaymentTerms): Verdict
  toChallenge(received: unknown, terms?: PaymentTerms): Verdict
} = {
  toBePaid: (received, terms = {}) => verdict('to be paid', faultOfPaid(received, terms), terms),
  toChallenge: (received, terms = {}) => verdict('to challenge', faultOfChallenge(received, terms), terms),
}

function verdict(wanted: string, fault: string | undefined, terms: PaymentTerms): Verdict {
  const on = Object.keys(terms).length === 0 ? '' : ` on ${JSON.stringify(terms)}`
  return {
    pass: fault === undefined,
    message: () =>
      fault === undefined
        ? `expected the answer not ${wanted}${on}`
        : `expected the answer ${wanted}${on}, but ${fault}`,
  }
}

function faultOfPaid(received: unknown, terms: PaymentTerms): string | undefined {
  const { status, get } = readAnswer(received)
  if (status < 200 || status > 299) return `its status is ${String(status)}${challengesIn(get)}`
  const field = get('payment-receipt')
  if (field === undefined) return 'it has no Payment-Receipt'
  let receipt: Receipt
  try {
    receipt = parseReceipt(field)
  } catch (error) {
    return `its receipt cannot be read: ${String(error)}`
  }
  if (!/(^|[\s,])private($|[\s,;])/i.test(get('cache-control') ?? ''))
    return 'its Cache-Control is not private: a cache would give it to those who have not paid'
  const { method, externalId } = receipt
  const challenge = paidFor(received as object)
  const shown: JsonObject = {
    ...(challenge && termsOf(challenge)),
    method,
    ...(externalId !== undefined && { externalId }),
  }
  const wanted = Object.keys(terms).find((name) => !['method', 'externalId'].includes(name))
  if (!challenge && wanted !== undefined)
    return `only an answer that payAs has returned tells its ${wanted}: a receipt does not`
  return fits(shown, terms) ? undefined : `it was paid on ${JSON.stringify(shown)}`
}

function faultOfChallenge(received: unknown, terms: PaymentTerms): string | undefined {
  const { status, get } = readAnswer(received)
  if (status !== 402) return `its status is ${String(status)}`
  const { challenges } = parseChallenges(get('www-authenticate') ?? '')
  if (challenges.length === 0) return 'it has no challenge of the Payment scheme'
  if (!/no-store/i.test(get('cache-control') ?? '')) return 'its Cache-Control is not no-store'
  const offers = challenges.map(termsOf)
  return offers.some((offer) => fits(offer, terms)) ? undefined : `it asks for ${JSON.stringify(offers)}`
}

function termsOf({ method, intent, realm, request }: Challenge): JsonObject {
  return { method, intent, realm, ...decodeRequest(request) }
}

function fits(shown: JsonObject, terms: PaymentTerms): boolean {
  return Object.entries(terms).every(
    ([name, value]) =>
      value === undefined ||
      (Object.hasOwn(shown, name) && canonicalize(shown[name] ?? null) === canonicalize(value)),
  )
}

function challengesIn(get: Answer['get']): string {
  const { challenges } = parseChallenges(get('www-authenticate') ?? '')
  return challenges.length === 0 ? '' : `, and it asks for ${JSON.stringify(challenges.map(termsOf))}`
}

interface Answer {
  status: number
  /** All lines of a field. */
  get(name: string): string | undefined
}

/** What is no answer proves nothing, `not` least of all: a promise that nobody awaited is never paid. */
function readAnswer(received: unknown): Answer {
  if (typeof received !== 'object' || received === null) throw noAnswer()
  const { status, statusCode = status, headers } = received as Record<string, unknown>
  if (typeof statusCode !== 'number' || typeof headers !== 'object' || headers === null) throw noAnswer()
  // Not by its class: frameworks and runtimes have their own.
  if ('get' in headers && typeof headers.get === 'function') {
    const own = headers as Headers
    return { status: statusCode, get: (name) => own.get(name) ?? undefined }
  }
  const fields = Object.entries(headers as Record<string, unknown>)
  const get = (name: string): string | undefined => {
    const value = fields.find(([other]) => other.toLowerCase() === name)?.[1]
    return value === undefined ? undefined : [value].flat().map(String).join(', ')
  }
  return { status: statusCode, get }
}

function noAnswer(): TypeError {
  return new TypeError(
    'mppkit: it is no answer: give a Response, or something with a status and headers (await it)',
  )
}
