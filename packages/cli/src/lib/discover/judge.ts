import { check, skip, type Verdict, Fault, Skip } from '@mppkit/testing/conform'
import type { Found } from './document.ts'
import { isRecord, recordIn, type Operation } from './operations.ts'

/** What is asked of a document. */
interface Rule {
  id: string
  requirements: readonly string[]
  level?: 'warning'
  title: string
  remedy: string
  of(found: Found, operations: readonly Operation[]): void
}

const CATEGORY = /^[a-z0-9]+(-[a-z0-9]+)*$/
const name = ({ method, path }: Operation): string => `${method} ${path}`

const rules: readonly Rule[] = [
  {
    id: 'document-there',
    requirements: ['DISC-004', 'DISC-005'],
    title: '/openapi.json is there, without login and without payment',
    remedy: 'Serve the document at GET /openapi.json of the origin, in front of every gate.',
    of: ({ status, value }) => {
      check(status === 200, `it was answered ${status}`)
      check(isRecord(value), 'it is no JSON object')
    },
  },
  {
    id: 'document-https',
    requirements: ['DISC-006'],
    title: 'It is served over https',
    remedy: 'Serve it over https.',
    of: ({ url }) => {
      const { protocol, hostname } = new URL(url)
      if (/^(127(\.\d+){3}|localhost|\[::1\])$/.test(hostname)) skip('the origin is the loopback')
      check(protocol === 'https:', `the origin is ${protocol}//`)
    },
  },
  {
    id: 'document-type',
    requirements: ['DISC-007'],
    title: 'Its media type is application/json',
    remedy: 'Send Content-Type: application/json.',
    of: ({ headers }) => {
      const type = headers.get('content-type') ?? 'missing'
      check(/^application\/json\s*(;|$)/i.test(type), `Content-Type is ${type}`)
    },
  },
  {
    id: 'document-version',
    requirements: ['DISC-008'],
    title: 'It says which OpenAPI 3 it is',
    remedy: 'Set openapi, e.g. to "3.1.0".',
    of: ({ value }) => {
      const version = isRecord(value) ? value.openapi : skip('there is no document')
      check(
        typeof version === 'string' && /^3\.\d+\.\d+/.test(version),
        `openapi is ${JSON.stringify(version)}`,
      )
    },
  },
  {
    id: 'document-info',
    requirements: ['DISC-009', 'DISC-010'],
    title: 'It has a title and a version',
    remedy: 'Set info.title and info.version.',
    of: ({ value }) => {
      if (!isRecord(value)) skip('there is no document')
      const info = recordIn(value, 'info')
      for (const member of ['title', 'version'])
        check(
          typeof info?.[member] === 'string' && info[member] !== '',
          `info.${member} is ${JSON.stringify(info?.[member])}`,
        )
    },
  },
  {
    id: 'document-paths',
    requirements: ['DISC-011'],
    title: 'It has operations',
    remedy: 'List the operations under paths.',
    of: ({ value }, operations) => {
      if (!isRecord(value)) skip('there is no document')
      check(operations.length > 0, 'there is none')
    },
  },
  {
    id: 'service-categories',
    requirements: ['DISC-012', 'DISC-014'],
    title: 'The categories of x-service-info are strings',
    remedy: 'Write categories as a list of strings.',
    of: ({ value }) => {
      const { categories } = serviceOf(value)
      if (categories === undefined) skip('there are no categories')
      check(
        Array.isArray(categories) && categories.every((one) => typeof one === 'string'),
        `they are ${JSON.stringify(categories)}`,
      )
    },
  },
  {
    id: 'service-category-names',
    requirements: ['DISC-017'],
    level: 'warning',
    title: 'Categories are lower-case and hyphenated',
    remedy: 'Write e.g. developer-tools.',
    of: ({ value }) => {
      const { categories } = serviceOf(value)
      if (!Array.isArray(categories)) skip('there are no categories')
      const odd = categories.find((one) => typeof one === 'string' && !CATEGORY.test(one))
      check(odd === undefined, `one is ${JSON.stringify(odd)}`)
    },
  },
  {
    id: 'service-docs',
    requirements: ['DISC-020', 'DISC-021'],
    title: 'The links of x-service-info are absolute',
    remedy: 'Write docs.homepage, docs.apiReference and docs.llms as whole URIs, with a scheme.',
    of: ({ value }) => {
      const { docs } = serviceOf(value)
      if (docs === undefined) skip('there are no links')
      check(isRecord(docs), `docs is ${JSON.stringify(docs)}`)
      for (const [member, link] of Object.entries(docs))
        check(typeof link === 'string' && URL.canParse(link), `docs.${member} is ${JSON.stringify(link)}`)
    },
  },
  {
    id: 'offers-schema',
    requirements: [
      'DISC-023',
      'DISC-024',
      'DISC-029',
      'DISC-030',
      'DISC-031',
      'DISC-033',
      'DISC-034',
      'DISC-037',
    ],
    title: 'Every x-payment-info is one offer, or a list of them',
    remedy:
      'Write {"offers":[{"intent":"charge","method":"…","amount":"digits" or null,"currency":"…"}]}, without other members.',
    of: (_, operations) => {
      const annotated = priced(operations)
      const odd = annotated.find(({ offers }) => offers === undefined)
      check(!odd, `that of ${odd && name(odd)} is not`)
    },
  },
  {
    id: 'offers-listed',
    requirements: ['DISC-025'],
    level: 'warning',
    title: 'Offers are written as a list',
    remedy: 'Write {"offers":[…]}; the shorthand is for old documents.',
    of: (_, operations) => {
      const short = priced(operations).find(({ shorthand, offers }) => shorthand && offers !== undefined)
      check(!short, `those of ${short && name(short)} are not`)
    },
  },
  {
    id: 'responses-402',
    requirements: ['DISC-038'],
    title: 'Every priced operation declares a 402 response',
    remedy: 'Add "402" to its responses.',
    of: (_, operations) => {
      const mute = priced(operations).find(({ declares402 }) => !declares402)
      check(!mute, `${mute && name(mute)} does not`)
    },
  },
  {
    id: 'input-described',
    requirements: ['DISC-039'],
    level: 'warning',
    title: 'Priced operations describe their input',
    remedy: 'Add requestBody: an agent cannot buy what it cannot ask for.',
    of: (_, operations) => {
      const mute = priced(operations).find(({ describesInput }) => !describesInput)
      check(!mute, `${mute && name(mute)} does not`)
    },
  },
  {
    id: 'document-cached',
    requirements: ['DISC-041', 'DISC-042'],
    level: 'warning',
    title: 'It may be cached, for at most five minutes',
    remedy: 'Send Cache-Control: max-age=300.',
    of: ({ headers }) => {
      const own = headers.get('cache-control') ?? ''
      const seconds = Number(/max-age=(\d+)/i.exec(own)?.[1] ?? NaN)
      check(seconds >= 1 && seconds <= 300, `Cache-Control is ${own === '' ? 'missing' : own}`)
    },
  },
  {
    id: 'document-cors',
    requirements: ['DISC-048'],
    level: 'warning',
    title: 'Scripts of other origins may read it',
    remedy: 'Send Access-Control-Allow-Origin: * with the document.',
    of: ({ headers }) =>
      check(headers.get('access-control-allow-origin') !== null, 'Access-Control-Allow-Origin is missing'),
  },
  {
    id: 'document-size',
    requirements: ['DISC-053'],
    level: 'warning',
    title: 'It has at most 64 KB',
    remedy: 'Registries stop reading there; keep schemas short.',
    of: ({ size }) => check(size <= 65_536, `it has ${size} bytes`),
  },
]

/** What a document is worth. */
export function judgeDocument(found: Found, operations: readonly Operation[]): Verdict[] {
  const there = found.status === 200 && isRecord(found.value)
  return rules.map(({ id, requirements, level, title, remedy, of }): Verdict => {
    const base = { id, group: 'spec', requirements, level: level ?? 'error', title } as const
    try {
      if (!there && id !== 'document-there' && id !== 'document-https') throw new Skip('there is no document')
      of(found, operations)
      return { ...base, outcome: 'passed', detail: '', remedy: '' }
    } catch (error) {
      if (error instanceof Skip) return { ...base, outcome: 'skipped', detail: error.message, remedy: '' }
      if (error instanceof Fault) return { ...base, outcome: 'failed', detail: error.message, remedy }
      throw error
    }
  })
}

function serviceOf(value: unknown): Record<string, unknown> {
  return recordIn(value, 'x-service-info') ?? skip('there is no x-service-info')
}

function priced(operations: readonly Operation[]): Operation[] {
  const annotated = operations.filter((one) => one.annotated)
  return annotated.length > 0 ? annotated : skip('nothing is announced as priced')
}
