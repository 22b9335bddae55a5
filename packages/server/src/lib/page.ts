import type { Incoming } from './seam.ts'

/** What the page for humans says beside the price. All of it is text, not HTML. */
export interface Page {
  /** The headline. Default: the price's `description`, or "Payment required". */
  title?: string
  /** One paragraph, e.g. what the service is. */
  text?: string
  /** Where a human can read on, or buy otherwise: an absolute http(s) URL. */
  link?: string
}

/** Whether browsers get a page, and what it says. */
export type PageOption = boolean | Page

/** What a page tells of one 402. */
export interface PageTerms {
  realm: string
  /** In whole units. */
  amount: string
  offers: readonly { method: string; request: Readonly<Record<string, unknown>> }[]
  /** RFC 3339. */
  expires: string
  /** Absolute, where the public origin is known. */
  url: string
}

/** Checks the option. Throws `TypeError` with the remedy. */
export function checkPage(page: unknown): void {
  if (page === undefined || typeof page === 'boolean') return
  if (typeof page !== 'object' || page === null || Array.isArray(page))
    fail(
      'page must be true, false or an object, e.g. { title: "Photos", link: "https://photos.example/pricing" }',
    )
  for (const [name, value] of Object.entries(page)) {
    if (!['title', 'text', 'link'].includes(name))
      fail(`page has no "${name}"; it knows title, text and link`)
    if (value !== undefined && typeof value !== 'string') fail(`page.${name} must be a string`)
  }
  const { link } = page as Page
  if (link !== undefined && !/^https?:\/\/\S{1,250}$/i.test(link))
    fail(
      `page.link is ${JSON.stringify(link)}; write an absolute URL of at most 250 characters, e.g. "https://photos.example/pricing"`,
    )
}

/** What a price's own setting makes of that of the server; undefined: no page. */
export function pageFor(all: PageOption | undefined, own: PageOption | undefined): Page | undefined {
  const chosen = own ?? all ?? false
  if (chosen === false) return undefined
  return { ...(typeof all === 'object' && all), ...(typeof own === 'object' && own) }
}

/**
 * Whether somebody looks at this answer in a browser: HTML is named, and wanted more than JSON. What asks for anything,
 * or shows a credential of whatever kind, is a program.
 */
export function wantsPage({ method, headers }: Incoming): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false
  const accept = headers.get('accept')
  if (accept === null || !accept.toLowerCase().includes('text/html')) return false
  if (PROGRAMS.some((name) => headers.get(name) !== null)) return false
  const weights = readAccept(accept)
  const html = weights.get('text/html') ?? 0
  return JSON_RANGES.every((range) => html > (weights.get(range) ?? 0))
}

const PROGRAMS = ['authorization', 'payment-authorization', 'accept-payment']
const JSON_RANGES = ['*/*', 'application/*', 'application/json', 'application/problem+json']

function readAccept(field: string): Map<string, number> {
  const weights = new Map<string, number>()
  for (const item of field.toLowerCase().split(',')) {
    const [range = '', ...parameters] = item.split(';').map((part) => part.trim())
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1'
    if (/^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(weight))
      weights.set(range, Math.max(weights.get(range) ?? 0, Number(weight)))
  }
  return weights
}

/** Light and dark, without a script, an image or a font. */
export const STYLE =
  ':root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{max-width:38rem;margin:12vh auto;padding:0 1.2rem}' +
  'h1{font-size:1.5rem;line-height:1.25;margin:.2rem 0 1rem}.code{opacity:.65;margin:0}dt{opacity:.65;font-size:.85rem;margin-top:.6rem}' +
  'dd{margin:0;overflow-wrap:anywhere}.price{font-size:1.25rem;font-weight:600}h2{font-size:1rem;margin:2rem 0 .4rem}' +
  'pre{padding:.7rem .9rem;border:1px solid;border-radius:.4rem;white-space:pre-wrap;overflow-wrap:anywhere}'

/** Of `STYLE`, in the words of a Content-Security-Policy; a test holds the two together. */
export const STYLE_HASH = 'sha256-ZjHehqKAXWrFgnI+Jx1FyLYdBNVe0AQlqJLJAQ81Oak='

/** The header fields that make a 402 a page; its status and its challenges stay what they are. */
export const PAGE_HEADERS: readonly (readonly [name: string, value: string])[] = [
  ['cache-control', 'no-store'],
  ['content-type', 'text/html; charset=utf-8'],
  [
    'content-security-policy',
    `default-src 'none'; style-src '${STYLE_HASH}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  ],
  ['x-content-type-options', 'nosniff'],
  ['referrer-policy', 'no-referrer'],
]

/** The page: at most 10 KB, whatever is said. */
export function writePage(page: Page, { realm, amount, offers, expires, url }: PageTerms): string {
  const [first] = offers
  const description = textOf(first?.request['description'])
  const externalId = textOf(first?.request['externalId'])
  const title = html(page.title ?? (description === '' ? 'Payment required' : description), 300)
  const rows: [term: string, definition: string, kind?: string][] = offers
    .slice(0, 8)
    .map(({ method, request }) => [
      offers.length > 1 ? `Price by ${html(method, 40)}` : 'Price',
      html(priceText(amount, request['currency']), 160),
      ' class="price"',
    ])
  if (description !== '' && page.title !== undefined) rows.push(['For', html(description, 800)])
  rows.push(['At', html(realm, 300)])
  if (externalId !== '') rows.push(['Reference', html(externalId, 200)])
  rows.push(['This offer holds until', html(expires, 40)])
  const list = rows.map(([term, text, kind = '']) => `<dt>${term}</dt><dd${kind}><bdi>${text}</bdi></dd>`)
  const command = commandFor(url)
  return [
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">',
    `<link rel="icon" href="data:,"><title>${title}</title><style>${STYLE}</style></head>\n`,
    `<body><main><p class="code">402 Payment Required</p><h1><bdi>${title}</bdi></h1>\n`,
    page.text === undefined ? '' : `<p>${html(page.text, 1200)}</p>\n`,
    `<dl>${list.join('\n')}</dl>\n`,
    '<h2>How to pay</h2>\n<p>This address is for programs that pay as they go; no account is needed. ',
    command === undefined
      ? 'A client of the Payment scheme pays it.</p>\n'
      : `A client of the Payment scheme pays it; a shell shows what it is told:</p>\n<pre><code>${html(command, 900)}</code></pre>\n`,
    '<p>The price is in the <code>WWW-Authenticate: Payment</code> header of this answer; how it is read and paid says ',
    '<a href="https://paymentauth.org">paymentauth.org</a>.</p>\n',
    page.link === undefined ? '' : `<p><a href="${html(page.link, 1600)}">More about this service</a></p>\n`,
    '</main></body></html>\n',
  ].join('')
}

/** An amount with its currency, as people write it; a token is named by its address. */
export function priceText(amount: string, currency: unknown): string {
  if (amount === '0') return 'nothing but a proof of identity'
  if (typeof currency !== 'string') return amount
  return /^[a-z]{3}$/i.test(currency) ? `${amount} ${currency.toUpperCase()}` : `${amount} of ${currency}`
}

/** What can be pasted into a shell: nothing in it ends the quotes or means anything inside of them. */
function commandFor(url: string): string | undefined {
  if (url.length > 300 || !/^https?:\/\//.test(url)) return undefined
  const plain = url.replace(/[^\w.~:/?#[\]@&+,;=%-]/g, (sign) =>
    [...new TextEncoder().encode(sign)].map((byte) => `%${byte.toString(16).toUpperCase()}`).join(''),
  )
  return `curl -i '${plain}'`
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Text as HTML, also within a quoted attribute, in at most so many bytes. */
function html(text: string, most: number): string {
  let written = ''
  let left = most
  for (const sign of text) {
    // Control characters have no business in a line of text; lone halves of a pair cannot be encoded.
    const safe = ENTITIES[sign] ?? (/[\p{Cc}\p{Cs}]/u.test(sign) ? ' ' : sign)
    left -= safe.length * (sign > '\u007f' ? 3 : 1)
    if (left < 0) return `${written}…`
    written += safe
  }
  return written
}

function fail(message: string): never {
  throw new TypeError(`mppkit: ${message}`)
}
