import { canonicalize, decodeBase64urlText, parseBaseUnits, parseTime } from '@mppkit/core'
import { check, skip, type Question } from './question.ts'
import type { Subject } from './subject.ts'
import { brief } from './tell.ts'

const group = 'spec'
const NAMES = ['id', 'realm', 'method', 'intent', 'request'] as const
const PARAMETER = /[A-Za-z][A-Za-z0-9_-]*=(?:"(?:[^"\\\p{Cc}]|\\[\x20-\x7e])*"|[!#$%&'*+.^_`|~0-9A-Za-z-]+)/u
const LINE = new RegExp(
  `(?:^|, *)Payment +${PARAMETER.source}(?:, ?${PARAMETER.source})*(?=$|, *[A-Za-z0-9-]+ )`,
  'u',
)

/** How a challenge is written. */
export const challengeQuestions: readonly Question[] = [
  {
    id: 'asks-for-money',
    group,
    requirements: ['CORE-001', 'CORE-013', 'CORE-011'],
    title: 'The priced resource, asked for without a payment, answers 402',
    remedy:
      'Answer 402 with a Payment challenge before anything else of the route runs. If the resource is free, ask a priced one.',
    async ask(subject) {
      const got = await subject.unpaid()
      check(got.status === 402, `it was answered ${brief(got)}`)
    },
  },
  {
    id: 'challenge-sent',
    group,
    requirements: ['CORE-019', 'CORE-001'],
    title: 'A 402 carries a Payment challenge in WWW-Authenticate',
    remedy:
      'Send `WWW-Authenticate: Payment id="…", realm="…", method="…", intent="…", request="…"` with every 402.',
    async ask(subject) {
      const got = await subject.unpaid()
      if (got.status !== 402) skip('there was no 402')
      const lines = got.all('www-authenticate')
      check(
        lines.some((line) => /(?:^|,\s*)payment(?:\s|$)/i.test(line)),
        lines.length === 0
          ? 'there is no WWW-Authenticate'
          : `WWW-Authenticate is ${lines.join(' | ').slice(0, 100)}`,
      )
    },
  },
  {
    id: 'challenge-syntax',
    group,
    requirements: ['CORE-021', 'CORE-026', 'CORE-032'],
    title: 'The challenge is `Payment` and comma-separated name=value pairs, without blanks around "="',
    remedy:
      'Write each parameter as name="value", joined by ", ", with backslashes before quotes and backslashes only.',
    async ask(subject) {
      await subject.offered()
      for (const line of (await subject.unpaid())
        .all('www-authenticate')
        .filter((one) => /payment /i.test(one)))
        check(LINE.test(line) && !/,\s*,/.test(veiled(line)), `the line reads ${line.slice(0, 160)}`)
    },
  },
  {
    id: 'parameters-present',
    group,
    requirements: ['CORE-022', 'CORE-033', 'CORE-038', 'CORE-043'],
    title: 'id, realm, method, intent and request are all there, and not empty',
    remedy: 'Send all five parameters with every challenge.',
    async ask(subject) {
      for (const offer of await subject.offered())
        for (const name of NAMES)
          check(offer.get(name), `${name} is ${offer.get(name) === '' ? 'empty' : 'missing'}`)
    },
  },
  {
    id: 'parameters-once',
    group,
    requirements: ['CORE-025'],
    title: 'No parameter comes twice in a challenge',
    remedy: 'Send each parameter once; a buyer drops a challenge with a repeated one.',
    async ask(subject) {
      for (const { parameters } of await subject.offered()) {
        const names = parameters.map(({ name }) => name.toLowerCase())
        const twice = names.find((name, at) => names.indexOf(name) !== at)
        check(twice === undefined, `${twice} comes twice`)
      }
    },
  },
  {
    id: 'parameters-lower-case',
    group,
    requirements: ['CORE-117'],
    title: 'Parameter names are lower-case',
    remedy: 'Write parameter names in lower case.',
    async ask(subject) {
      for (const { parameters } of await subject.offered()) {
        const loud = parameters.find(({ name }) => name !== name.toLowerCase())
        check(loud === undefined, `one is called ${loud?.name}`)
      }
    },
  },
  {
    id: 'realm-quoted',
    group,
    requirements: ['CORE-029'],
    title: 'realm is a quoted-string',
    remedy: 'Write realm="…", with quotes.',
    async ask(subject) {
      for (const { parameters } of await subject.offered()) {
        const realm =
          parameters.find(({ name }) => name.toLowerCase() === 'realm') ?? skip('there is no realm')
        check(realm.quoted, `it reads realm=${realm.value}`)
      }
    },
  },
  {
    id: 'realm-ascii',
    group,
    requirements: ['CORE-122'],
    title: 'realm is plain ASCII',
    remedy: 'Name the protection space in ASCII, for instance by its host name.',
    async ask(subject) {
      for (const offer of await subject.offered())
        check(/^[\x20-\x7e]*$/.test(offer.get('realm') ?? ''), 'realm holds other characters')
    },
  },
  {
    id: 'method-name',
    group,
    requirements: ['CORE-039', 'CORE-084'],
    title: 'method is made of the letters a to z',
    remedy: 'Use the registered identifier of the payment method, in lower case, without digits and hyphens.',
    async ask(subject) {
      for (const offer of await subject.offered())
        check(/^[a-z]*$/.test(offer.get('method') ?? ''), `it reads ${offer.get('method')}`)
    },
  },
  {
    id: 'intent-name',
    group,
    requirements: ['CORE-042'],
    title: 'intent is made of letters, digits and hyphens',
    remedy: 'Use a registered intent, such as `charge`.',
    async ask(subject) {
      for (const offer of await subject.offered())
        check(/^[A-Za-z0-9-]*$/.test(offer.get('intent') ?? ''), `it reads ${offer.get('intent')}`)
    },
  },
  {
    id: 'request-encoding',
    group,
    requirements: ['CORE-043', 'CORE-044'],
    title: 'request is base64url without padding',
    remedy: 'Encode with the URL-safe alphabet (- and _) and cut the trailing "=" off.',
    async ask(subject) {
      for (const offer of await subject.offered())
        check(
          /^[A-Za-z0-9_-]*$/.test(offer.get('request') ?? ''),
          `it holds ${JSON.stringify(/[^A-Za-z0-9_-]/.exec(offer.get('request')!)?.[0])}`,
        )
    },
  },
  {
    id: 'request-object',
    group,
    requirements: ['CORE-043', 'CORE-121', 'CHG-003'],
    title: 'request is a JSON object in UTF-8',
    remedy: 'Encode a JSON object; nothing before, behind or around it.',
    async ask(subject) {
      for (const text of await requestTexts(subject))
        check(objectIn(text), `it decodes to ${text === undefined ? 'no text' : text.slice(0, 80)}`)
    },
  },
  {
    id: 'request-canonical',
    group,
    requirements: ['CORE-045', 'CHG-006'],
    title: 'The JSON of request is in canonical form (RFC 8785)',
    remedy:
      'Serialise with JCS: members sorted by name, no blanks, numbers and escapes as ECMAScript writes them.',
    async ask(subject) {
      for (const [request, text] of await requests(subject))
        check(canonicalize(request as never) === text, `it reads ${text.slice(0, 120)}`)
    },
  },
  {
    id: 'charge-amount',
    group,
    requirements: ['CHG-009'],
    title: 'The amount of a charge is a string of digits, in base units',
    remedy:
      'Send the amount as a string in the smallest unit: "1050" for 10.50 USD; no point, no sign, no leading zero.',
    async ask(subject) {
      for (const [{ amount }] of await charges(subject))
        check(parseBaseUnits(amount) !== undefined, `amount is ${JSON.stringify(amount)}`)
    },
  },
  {
    id: 'charge-currency',
    group,
    requirements: ['CHG-010', 'CHG-013', 'CHG-014'],
    title: 'The currency of a charge is a string; ISO codes are lower-case',
    remedy: 'Send the currency as a string: "usd" for fiat money, the address of the contract for a token.',
    async ask(subject) {
      for (const [{ currency }] of await charges(subject)) {
        check(typeof currency === 'string' && currency !== '', `currency is ${JSON.stringify(currency)}`)
        check(
          !/^[A-Za-z]{3}$/.test(currency) || currency === currency.toLowerCase(),
          `currency is ${JSON.stringify(currency)}`,
        )
      }
    },
  },
  {
    id: 'charge-optional',
    group,
    requirements: ['CHG-011', 'CHG-003'],
    title:
      'recipient, description and externalId are strings, methodDetails is an object, where they are sent',
    remedy: 'Send these members with the types of the charge intent, or leave them out.',
    async ask(subject) {
      for (const [request] of await charges(subject)) {
        for (const name of ['recipient', 'description', 'externalId'])
          check(
            request[name] === undefined || typeof request[name] === 'string',
            `${name} is ${JSON.stringify(request[name])}`,
          )
        const { methodDetails: details } = request
        check(
          details === undefined ||
            (typeof details === 'object' && details !== null && !Array.isArray(details)),
          'methodDetails is no object',
        )
      }
    },
  },
  {
    id: 'charge-no-expiry',
    group,
    requirements: ['CHG-012'],
    title: 'The request of a charge does not repeat the expiry',
    remedy: 'Say until when in the `expires` parameter only.',
    async ask(subject) {
      for (const [request] of await charges(subject)) {
        const found = ['expires', 'expiry', 'expiresAt'].find((name) => Object.hasOwn(request, name))
        check(found === undefined, `it has a member ${found}`)
      }
    },
  },
  {
    id: 'expires-present',
    group,
    requirements: ['CORE-050'],
    title: 'The challenge says until when it can be paid',
    remedy: 'Send `expires`, a few minutes ahead: without it an old price can be paid for ever.',
    async ask(subject) {
      for (const offer of await subject.offered())
        check(offer.get('expires') !== undefined, 'expires is missing')
    },
  },
  {
    id: 'expires-format',
    group,
    requirements: ['CORE-049'],
    title: 'expires is an RFC 3339 date-time',
    remedy: 'Write it like 2026-01-31T12:00:00Z.',
    async ask(subject) {
      for (const value of await values(subject, 'expires'))
        check(parseTime(value) !== undefined, `it reads ${value}`)
    },
  },
  {
    id: 'opaque-strings',
    group,
    requirements: ['CORE-053'],
    title: 'opaque is base64url of a flat JSON object of strings',
    remedy: 'Put strings only into opaque, one level deep.',
    async ask(subject) {
      for (const value of await values(subject, 'opaque')) {
        const map = objectIn(textOf(value))
        check(
          map && Object.values(map).every((one) => typeof one === 'string'),
          `it decodes to ${textOf(value)?.slice(0, 80) ?? 'no text'}`,
        )
      }
    },
  },
  {
    id: 'opaque-canonical',
    group,
    requirements: ['CORE-055'],
    title: 'The JSON of opaque is in canonical form (RFC 8785)',
    remedy: 'Serialise opaque with JCS, as request.',
    async ask(subject) {
      for (const value of await values(subject, 'opaque')) {
        const text = textOf(value)
        const map = objectIn(text) ?? skip('opaque is no object')
        check(canonicalize(map as never) === text, `it reads ${text?.slice(0, 100)}`)
      }
    },
  },
  {
    id: 'challenge-size',
    group,
    requirements: ['CORE-118'],
    title: 'A challenge stays below 8 KB',
    remedy: 'Keep long texts out of request and opaque.',
    async ask(subject) {
      for (const { parameters } of await subject.offered()) {
        const size = parameters.reduce((sum, { name, value }) => sum + name.length + value.length + 5, 8)
        check(size < 8192, `it has ${size} bytes`)
      }
    },
  },
]

/** The line with the inside of quoted text out of sight. */
function veiled(line: string): string {
  return line.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')
}

function textOf(encoded: string): string | undefined {
  try {
    return decodeBase64urlText(encoded.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, ''))
  } catch {
    return undefined
  }
}

function objectIn(text: string | undefined): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '')
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}

async function values(subject: Subject, name: string): Promise<string[]> {
  const found = (await subject.offered()).flatMap((offer) => offer.get(name) ?? [])
  return found.length > 0 ? found : skip(`no ${name} was sent`)
}

async function requestTexts(subject: Subject): Promise<(string | undefined)[]> {
  return (await values(subject, 'request')).map(textOf)
}

async function requests(subject: Subject): Promise<[Record<string, unknown>, string][]> {
  return (await requestTexts(subject)).map((text) => [objectIn(text) ?? skip('request is no object'), text!])
}

/** The requests of the charges among the offers. */
async function charges(subject: Subject): Promise<[Record<string, unknown>, string][]> {
  const offers = (await subject.offered()).filter((offer) => offer.get('intent') === 'charge')
  if (offers.length === 0) skip('no charge is offered')
  return offers.map((offer) => {
    const text = textOf(offer.get('request') ?? '')
    return [objectIn(text) ?? skip('request is no object'), text!]
  })
}
