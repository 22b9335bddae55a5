import { parsePaymentInfo, type PaymentOffer } from '@mppkit/core'
import { writeLlms, type Listed } from './llms.ts'
import type { Gate, Offer } from './seam.ts'

/** What a service says of itself beside its prices. */
export interface Service {
  /** Lower-case words, e.g. `media`, `data`, `developer-tools`; at most five. */
  categories?: readonly string[]
  /** Absolute URIs. */
  docs?: { apiReference?: string; homepage?: string; llms?: string }
}

/** An operation of OpenAPI with the guard of its route; without one it is free. Its other members are passed on. */
export interface Operation<Guard> {
  guard?: Guard
  summary?: string
  description?: string
  operationId?: string
  tags?: readonly string[]
  parameters?: readonly object[]
  requestBody?: object
  /** By status. A 402 is declared without being named. */
  responses?: Readonly<Record<string, object>>
  callbacks?: object
  deprecated?: boolean
  externalDocs?: object
  security?: readonly object[]
  servers?: readonly object[]
  [extension: `x-${string}`]: unknown
}

type Verb = 'get' | 'put' | 'post' | 'delete' | 'patch' | 'options' | 'head' | 'trace'

/** The operations of one path, by method, and what is common to them. */
export type Path<Guard> = { [V in Verb]?: Guard | Operation<Guard> } & {
  summary?: string
  description?: string
  parameters?: readonly object[]
}

/** An API as its seller describes it. Members of OpenAPI that are not named here are passed on. */
export interface Api<Guard> {
  info: { title: string; version: string; description?: string; [member: string]: unknown }
  service?: Service
  /** By path, with parameters in braces: `/photos/{id}`. What `mpp.charge(…)` has returned may stand for the operation. */
  paths: Readonly<Record<string, Path<Guard>>>
  servers?: readonly { url: string; [member: string]: unknown }[]
  components?: object
  tags?: readonly object[]
  security?: readonly object[]
  externalDocs?: object
}

/** The document that `GET /openapi.json` answers. */
export interface OpenApiDocument {
  openapi: '3.1.0'
  info: Api<never>['info']
  'x-service-info'?: Service
  paths: Record<string, Record<string, unknown>>
  [member: string]: unknown
}

/** A description of an API, ready to be served. */
export interface Described {
  /** JSON, for `GET /openapi.json` of the origin, which must not be guarded itself. */
  document: OpenApiDocument
  /** Plain text, for `GET /llms.txt`. */
  llms: string
  /** Fields for both answers: cached for five minutes, and readable by scripts of all origins. */
  headers: { 'cache-control': string; 'access-control-allow-origin': string }
}

/** Of the options of `createMpp`. */
interface Seller {
  origin?: string | undefined
  header?: string | undefined
}

/**
 * Describes an API by the gates that guard it, so that what it announces is what it asks.
 *
 * @param gateOf the gate behind a guard; undefined for what is none of this server
 * @throws TypeError that names the remedy
 * @see draft-payment-discovery-00
 */
export function writeOpenApi<Guard>(
  api: Api<Guard>,
  gateOf: (guard: Guard) => Gate | undefined,
  { origin = '', header = 'Authorization' }: Seller,
): Described {
  if (!isRecord(api) || !isRecord(api.info) || !isRecord(api.paths))
    fail('openapi needs { info: { title, version }, paths: { "/photos/{id}": { get: mpp.charge(…) } } }')
  const { info, service, paths, ...others } = api
  for (const name of Object.keys(others))
    if (!ROOT.includes(name) && !name.startsWith('x-'))
      fail(`openapi has no "${name}"; it knows info, service, paths, ${ROOT.join(', ')}`)
  for (const name of ['title', 'version'] as const)
    if (typeof info[name] !== 'string' || info[name] === '') fail(`info.${name} must be a text`)
  checkService(service)
  const listed: Listed[] = []
  const written: OpenApiDocument['paths'] = {}
  for (const [path, item] of Object.entries(paths)) {
    if (!PATH.test(path))
      fail(`paths has ${JSON.stringify(path)}; write it as OpenAPI does, e.g. "/photos/{id}"`)
    written[path] = writePath(path, item, gateOf, listed)
  }
  if (listed.length === 0) fail('paths has no operation; name at least one, e.g. { "/ping": { get: {} } }')
  const document: OpenApiDocument = {
    openapi: '3.1.0',
    info: { ...info },
    ...others,
    ...(service && { 'x-service-info': service }),
    paths: written,
  }
  return {
    document,
    llms: writeLlms({ info, service, operations: listed, origin: origin.replace(/\/$/, ''), header }),
    headers: { 'cache-control': 'public, max-age=300', 'access-control-allow-origin': '*' },
  }
}

const ROOT = ['servers', 'components', 'tags', 'security', 'externalDocs']
const COMMON = ['summary', 'description', 'parameters', 'servers', '$ref']
const VERBS: readonly string[] = ['get', 'put', 'post', 'delete', 'patch', 'options', 'head', 'trace']
const MEMBERS: readonly string[] = [
  'guard',
  'summary',
  'description',
  'operationId',
  'tags',
  'parameters',
  'requestBody',
  'responses',
  'callbacks',
  'deprecated',
  'externalDocs',
  'security',
  'servers',
]
const FOREIGN =
  'is not what mpp.charge(…) of this server has returned: keep that in a constant, guard the route with it, and give it here'
const UNPAID: readonly string[] = ['options', 'head', 'trace']
// Neither `:id` nor `[id]`: a reader would take them for the path itself.
const PATH = /^\/(?:[^\s{}:[\]?#*]|\{[^\s{}/?#]+\})*$/

function writePath<Guard>(
  path: string,
  item: Path<Guard>,
  gateOf: (guard: Guard) => Gate | undefined,
  listed: Listed[],
): Record<string, unknown> {
  if (!isRecord(item)) fail(`paths[${JSON.stringify(path)}] must be an object of operations, e.g. { get: … }`)
  const written: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(item)) {
    if (!VERBS.includes(name)) {
      if (!COMMON.includes(name) && !name.startsWith('x-'))
        fail(`paths[${JSON.stringify(path)}] has no "${name}"; it knows ${[...VERBS, ...COMMON].join(', ')}`)
      written[name] = value
      continue
    }
    const where = `paths[${JSON.stringify(path)}].${name}`
    const known = gateOf(value as Guard)
    const operation = (known ? { guard: value } : value) as Operation<Guard>
    if (!isRecord(operation)) fail(`${where} ${FOREIGN}`)
    for (const member of Object.keys(operation))
      if (!MEMBERS.includes(member) && !member.startsWith('x-'))
        fail(`${where} has no "${member}"; it knows ${MEMBERS.join(', ')}. Or it ${FOREIGN}`)
    const gate = operation.guard === undefined ? undefined : gateOf(operation.guard)
    if ('guard' in operation && !gate) fail(`${where}.guard ${FOREIGN}`)
    if (gate && UNPAID.includes(name)) fail(`${where}: ${name.toUpperCase()} is never paid; name the others`)
    if ('x-payment-info' in operation)
      fail(`${where} has an x-payment-info of its own; what the route asks is told by its guard`)
    const offers = gate ? offersOf(gate.offers, where) : []
    written[name] = writeOperation(path, operation, offers, item.parameters)
    listed.push({
      method: name.toUpperCase(),
      path,
      text: operation.summary ?? operation.description ?? item.summary,
      offers: gate?.offers ?? [],
    })
  }
  return written
}

function writeOperation<Guard>(
  path: string,
  operation: Operation<Guard>,
  offers: readonly PaymentOffer[],
  common: readonly object[] = [],
): Record<string, unknown> {
  const { guard: _, parameters = [], responses, ...others } = operation
  const missing = missingParameters(path, [...common, ...parameters])
  const isPaid = offers.length > 0
  return {
    ...others,
    ...(parameters.length + missing.length > 0 && { parameters: [...parameters, ...missing] }),
    ...(isPaid && { 'x-payment-info': { offers } }),
    responses: {
      ...(responses ?? { '200': { description: 'OK' } }),
      ...(isPaid && { '402': responses?.['402'] ?? PAYMENT_REQUIRED }),
    },
  }
}

const PAYMENT_REQUIRED = {
  description: 'Payment Required',
  headers: {
    'WWW-Authenticate': { description: 'One Payment challenge per offer', schema: { type: 'string' } },
  },
  content: { 'application/problem+json': { schema: { type: 'object' } } },
}

/** Of the path's parameters, those that nobody has declared; OpenAPI wants them all. */
function missingParameters(path: string, declared: readonly object[]): object[] {
  // What is declared elsewhere may be any of them.
  if (declared.some((parameter) => '$ref' in parameter)) return []
  const names = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name)
  return names
    .filter((name) => !declared.some((parameter) => 'name' in parameter && parameter.name === name))
    .map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } }))
}

/** What the gate asks, in the words of the draft. */
function offersOf(offers: readonly Offer[], where: string): PaymentOffer[] {
  const written = offers.map(({ method, intent, request }) => {
    const { amount = null, currency, description } = request
    return {
      intent,
      method,
      amount,
      ...(typeof currency === 'string' && { currency }),
      ...(typeof description === 'string' && { description }),
    }
  })
  if (written.length === 0) return []
  // A rail may ask for what the draft has no word for; better to be told now than by whoever reads it.
  return (
    parsePaymentInfo({ offers: written }) ??
    fail(`${where} cannot be announced: ${JSON.stringify(written)} is not what readers expect`)
  )
}

function checkService(service: Service | undefined): void {
  if (service === undefined) return
  if (!isRecord(service)) fail('service must be an object, e.g. { categories: ["media"] }')
  for (const name of Object.keys(service))
    if (name !== 'categories' && name !== 'docs')
      fail(`service has no "${name}"; it knows categories and docs`)
  const { categories = [], docs = {} } = service
  if (!Array.isArray(categories) || categories.some((name) => typeof name !== 'string' || name === ''))
    fail('service.categories must be a list of words, e.g. ["media", "data"]')
  if (!isRecord(docs)) fail('service.docs must be an object, e.g. { homepage: "https://photos.example" }')
  for (const [name, uri] of Object.entries(docs)) {
    if (!['apiReference', 'homepage', 'llms'].includes(name))
      fail(`service.docs has no "${name}"; it knows apiReference, homepage and llms`)
    if (typeof uri !== 'string' || !URL.canParse(uri))
      fail(
        `service.docs.${name} is ${JSON.stringify(uri)}; write an absolute URI, e.g. "https://photos.example"`,
      )
  }
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function fail(message: string): never {
  throw new TypeError(`mppkit: ${message}`)
}
