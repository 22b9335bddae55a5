import { priceText } from './page.ts'
import type { Offer } from './seam.ts'

/** One operation, as a language model is told of it. */
export interface Listed {
  method: string
  path: string
  text: string | undefined
  /** None: it is free. */
  offers: readonly Offer[]
}

interface Told {
  info: { title: string; description?: string }
  service: { docs?: { apiReference?: string; homepage?: string; llms?: string } } | undefined
  operations: readonly Listed[]
  /** Without a path; empty: not known. */
  origin: string
  /** That carries credentials. */
  header: string
}

/** Describes an API in Markdown, in the shape of llmstxt.org. Amounts are in whole units. */
export function writeLlms({ info, service, operations, origin, header }: Told): string {
  const paid = operations.filter(({ offers }) => offers.length > 0)
  const free = operations.filter(({ offers }) => offers.length === 0)
  const { apiReference, homepage } = service?.docs ?? {}
  const documents: [name: string, uri: string][] = [['OpenAPI document', `${origin}/openapi.json`]]
  if (apiReference !== undefined) documents.push(['Reference', apiReference])
  if (homepage !== undefined) documents.push(['Homepage', homepage])
  return [
    `# ${line(info.title)}\n`,
    info.description === undefined ? '' : `\n> ${line(info.description)}\n`,
    paid.length === 0
      ? ''
      : '\nSome operations are paid for by the request, over HTTP 402, without an account. Send the request; the 402 ' +
        'carries `WWW-Authenticate: Payment` challenges, which say what is due (the prices below are for orientation). ' +
        `Pay one of them, and send the same request again with \`${header}: Payment <credential>\`. ` +
        'The protocol: https://paymentauth.org.\n',
    section(
      'Paid operations',
      paid.map((operation) => `${name(operation, origin)} ${price(operation.offers)}`),
    ),
    section(
      'Free operations',
      free.map((operation) => name(operation, origin)),
    ),
    section(
      'Documents',
      documents.map(([title, uri]) => `[${title}](${line(uri)})`),
    ),
  ].join('')
}

function section(title: string, items: readonly string[]): string {
  return items.length === 0 ? '' : `\n## ${title}\n\n${items.map((item) => `- ${item}\n`).join('')}`
}

function name({ method, path, text }: Listed, origin: string): string {
  const told = text === undefined ? '' : `: ${line(text).replace(/[.\s]+$/, '')}.`
  return `\`${method} ${origin}${path}\`${told}`
}

function price(offers: readonly Offer[]): string {
  const [{ amount: said } = { amount: undefined }] = offers
  if (said === undefined)
    return `The price depends on the request, paid by ${offers.map(({ method }) => method).join(' or ')}.`
  const options = offers.map(
    ({ method, amount = '', request }) => `${priceText(amount, request['currency'])} by ${method}`,
  )
  return `Price: ${options.join(' or ')}.`
}

/** Keeps what a seller writes from becoming structure. */
function line(text: string): string {
  return text.replace(/[\p{Cc}\s]+/gu, ' ').trim()
}
