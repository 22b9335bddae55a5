import type { Got, Raw } from '../buyer.ts'
import { readLoosely } from './loose.ts'
import { check, skip, type Question } from './question.ts'
import { withField, type Subject } from './subject.ts'
import { brief, isServed } from './tell.ts'
import { bytesOf, NoAnswer } from './wire.ts'

const group = 'mppkit'
const level = 'error'

/** Ways around the price: spellings, methods, headers, connections. */
export const wireQuestions: readonly Question[] = [
  {
    id: 'targets-guarded',
    group,
    level,
    requirements: ['CORE-001', 'CORE-059', 'CORE-139'],
    title: 'No other spelling of the target is served for nothing',
    remedy:
      'Judge the raw target that the router matched; refuse dot segments, encoded slashes, backslashes and absolute form.',
    async ask(subject) {
      const usual = await pageOfAll(subject, subject.raw.method ?? 'GET')
      const served = (await spellings(subject)).filter(([, got]) => isServed(got))
      for (const [target, got] of served) check(got.text === usual, `${target} was served (${got.status})`)
      await lives(subject)
      if (served.length > 0) await notPaidFor(subject, usual)
    },
  },
  {
    id: 'methods-guarded',
    group,
    level,
    requirements: ['CORE-001', 'CORE-139'],
    title: 'No other HTTP method is served for nothing',
    remedy: 'Gate every method of the route.',
    async ask(subject) {
      const own = subject.raw.method ?? 'GET'
      const methods = [
        'get',
        'Get',
        'GET2',
        'POST',
        'PUT',
        'PATCH',
        'DELETE',
        'PROPFIND',
        'QUERY',
        'TRACE',
        'head',
      ].filter((one) => one !== own)
      // With somebody's login they might change what is there.
      const hasLogin = subject.headers.some(([name]) => !DESCRIBING.has(name.toLowerCase()))
      const unasked = hasLogin ? methods.filter((one) => CHANGING.has(one)) : []
      for (const method of methods.filter((one) => !unasked.includes(one))) {
        const got = await tried(
          subject.send({
            target: subject.raw.target,
            method,
            ...(/P(OST|UT|ATCH)/.test(method) && { body: '' }),
          }),
        )
        if (!got || !isServed(got)) continue
        const usual = await pageOfAll(subject, method)
        check(got.text === usual, `${method} was served (${got.status})`)
        await notPaidFor(subject, usual)
      }
      await lives(subject)
      return unasked.length > 0 ? `not asked with your headers: ${unasked.join(', ')}` : undefined
    },
  },
  {
    id: 'override-headers',
    group,
    level,
    requirements: ['CORE-001', 'CORE-059'],
    title: 'Headers that change method, path, host or protocol elsewhere change no price',
    remedy: 'Ignore X-HTTP-Method-Override and its like in front of priced routes.',
    async ask(subject) {
      const { request: own } = await subject.quote()
      const overrides = [
        ['X-HTTP-Method-Override', 'OPTIONS'],
        ['X-HTTP-Method', 'HEAD'],
        ['X-Original-URL', '/'],
        ['X-Rewrite-URL', '/'],
        ['X-Forwarded-Host', 'other.example'],
        ['X-Forwarded-Prefix', '/free'],
        ['Forwarded', 'host=other.example;proto=https'],
        [
          'X-Middleware-Subrequest',
          'src/middleware:src/middleware:src/middleware:src/middleware:src/middleware',
        ],
      ] as const
      for (const [name, value] of overrides) {
        const raw = withField(subject.raw, name, value)
        const got = await subject.send(raw)
        check(got.status === 402, `with ${name} it was answered ${brief(got)}`)
        check((await subject.quote(raw)).request === own, `with ${name} the price is another one`)
      }
    },
  },
  {
    id: 'huge-credential',
    group,
    level,
    requirements: ['CORE-139'],
    title: 'A credential of 1 MB is turned away with 4xx, and the server lives',
    remedy: 'Limit the size of headers (413, 431) before anything is decoded.',
    async ask(subject) {
      const got = await tried(subject.send(await subject.withCredential(`Payment ${'A'.repeat(1_000_000)}`)))
      check(!got || (got.status >= 400 && got.status < 500), `it was answered ${got && brief(got)}`)
      await lives(subject)
      return got ? `answered ${got.status}` : 'cut off'
    },
  },
  {
    id: 'huge-body',
    group,
    level,
    requirements: ['CORE-139'],
    title: 'An unpaid body of 20 MB is turned away with 4xx, or asked for money, and the server lives',
    remedy: 'Limit what is read before the payment (413).',
    async ask(subject) {
      if (subject.raw.body === undefined) skip('the request has no body; ask with one')
      const got = await tried(subject.send({ ...subject.raw, body: new Uint8Array(20_000_000) }))
      check(!got || (got.status >= 400 && got.status < 500), `it was answered ${got && brief(got)}`)
      await lives(subject)
      return got ? `answered ${got.status}` : 'cut off'
    },
  },
  {
    id: 'connection-shared',
    group,
    level,
    requirements: ['CORE-001', 'CORE-037'],
    title: 'On one connection every request is asked for money, each with its own challenge',
    remedy: 'Judge each request by its own credential; a connection is no identity.',
    async ask({ headers, place, raw, offered, write }) {
      if ((raw.method ?? 'GET') !== 'GET') skip('asked of GET only')
      await offered()
      const own = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
      const one = (end: string): string =>
        `GET ${raw.target} HTTP/1.1\r\nHost: ${place.authority}\r\n${own}${end}\r\n`
      const bytes = Buffer.from(one('') + one('') + one('Connection: close\r\n'))
      const answers = await write(bytes, ['GET', 'GET', 'GET']).catch(none)
      if (answers.length < 2) skip('the server ends the connection after one request')
      const free = answers.find(({ status }) => status !== 402)
      check(!free, `one was answered ${free && brief(free)}`)
      const ids = answers.flatMap((got) => readLoosely(got.all('www-authenticate'))[0]?.get('id') ?? [])
      check(new Set(ids).size === answers.length, 'two of them have one challenge')
      return `${answers.length} answers`
    },
  },
  {
    id: 'chunked-body',
    group,
    level,
    pays: true,
    requirements: ['CORE-064', 'CORE-065'],
    title: 'A paid body that comes in chunks is the body that was quoted for',
    remedy: 'Read the body to its end, however it is framed, before its digest is compared.',
    async ask(subject) {
      const { place, raw } = subject
      if (typeof raw.body !== 'string' || raw.body.length < 2) skip('the request has no body; ask with one')
      const { header, authorization } = await subject.credential()
      const bytes = inChunks(
        { ...raw, headers: [...subject.headers, [header, authorization]] },
        place.authority,
      )
      const [got] = await subject.write(bytes, [raw.method ?? 'POST']).catch(none)
      check(got && isServed(got), `it was answered ${got ? brief(got) : 'with nothing'}`)
    },
  },
  {
    id: 'unread-body',
    group,
    level,
    requirements: ['CORE-059', 'CORE-139'],
    title: 'A body that nobody reads is not taken for the next request',
    remedy: 'Read the rest of an unwanted body, or close the connection.',
    async ask(subject) {
      const { place, raw } = subject
      const hidden = new TextDecoder().decode(bytesOf({ method: 'GET', target: raw.target }, place.authority))
      const smuggled = hidden.repeat(10)
      const head = (method: string, length: number): string =>
        `${method} ${raw.target} HTTP/1.1\r\nHost: ${place.authority}\r\nContent-Length: ${length}\r\n`
      const bytes = Buffer.from(
        `${head('OPTIONS', smuggled.length)}\r\n${smuggled}${head('GET', 0)}Connection: close\r\n\r\n`,
      )
      const answers = await subject.write(bytes, ['OPTIONS', 'GET', 'GET']).catch(none)
      check(answers.length <= 2, `two requests got ${answers.length} answers`)
      await lives(subject)
    },
  },
]

const CHANGING = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])
/** Fields that nobody logs in with. */
const DESCRIBING = new Set(['accept', 'content-type', 'user-agent'])

/** What whoever asks for anything is given, if it is so: the page of an app that routes in the browser. */
async function pageOfAll({ raw, send }: Subject, method: string): Promise<string | undefined> {
  const body = raw.body === undefined || method === 'GET' ? {} : { body: '' }
  const got = await tried(send({ target: `/no-such-thing-${Date.now()}`, method, ...body }))
  return got && isServed(got) && /^text\/html\b/i.test(got.get('content-type') ?? '') ? got.text : undefined
}

/** What everybody is given is no way around the price, unless it is what is paid for. */
async function notPaidFor(subject: Subject, text: string | undefined): Promise<void> {
  if (!subject.payer)
    skip('a page is served whatever is asked for; with a payment it can be told from what is sold')
  const { got } = await subject.firstPurchase()
  if (!isServed(got)) skip('nothing can be bought here, so nothing can be told')
  check(got.text !== text, 'what is sold is served whatever is asked for')
}

/** Who is cut off must not have killed the server: that would be silence too. */
async function lives(subject: Subject): Promise<void> {
  const before = await subject.unpaid()
  const after = await tried(subject.send(subject.raw))
  check(after, 'afterwards the server answers nobody')
  check(after.status === before.status, `afterwards the server answered ${brief(after)}`)
}

/** The bytes of a request whose body comes in two chunks. */
function inChunks({ method = 'POST', target, headers = [], body = '' }: Raw, authority: string): Uint8Array {
  const text = Buffer.from(body as string)
  const lines = [['Host', authority], ['Connection', 'close'], ['Transfer-Encoding', 'chunked'], ...headers]
  const head = `${method} ${target} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
  const chunk = (piece: Buffer): Buffer =>
    Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')])
  return Buffer.concat([
    Buffer.from(head),
    chunk(text.subarray(0, 1)),
    chunk(text.subarray(1)),
    Buffer.from('0\r\n\r\n'),
  ])
}

async function spellings({ raw, place, send }: Subject): Promise<[target: string, got: Got][]> {
  const [path = '/', query] = raw.target.split('?')
  const behind = query === undefined ? '' : `?${query}`
  const name = path.slice(path.lastIndexOf('/') + 1)
  const parent = path.slice(0, path.lastIndexOf('/') + 1)
  const scheme = place.tls ? 'https' : 'http'
  const targets = [
    `/x/..${path}`,
    `/x/%2e%2e${path}`,
    `/.${path}`,
    `/%2e${path}`,
    `/${path}`,
    `//${path}`,
    `${parent}%2f${name}`,
    `${parent}.%2f${name}`,
    `${path}/x/..`,
    `${path}/.`,
    `${path}/%2e`,
    path.replaceAll('/', '\\'),
    `/x\\..${path.replaceAll('/', '\\')}`,
    `${scheme}://${place.authority}${path}`,
    `${scheme}://other.example${path}`,
    `/x/..;${path}`,
    `${path}%00`,
    `${path}%20`,
    `${path};a=b`,
    `${path}%23`,
    `${path}#x`,
    path.toUpperCase(),
    `${path}/`,
  ].filter((target) => target !== path)
  const found: [string, Got][] = []
  for (const target of targets) {
    // In the way of the resource itself only: what lies elsewhere may be free.
    const got = await tried(send({ ...raw, target: `${target}${behind}` }))
    if (got) found.push([target, got])
  }
  return found
}

/** The answer; nothing where the client was cut off. */
async function tried(answer: Promise<Got>): Promise<Got | undefined> {
  return answer.catch((error: unknown) => {
    if (error instanceof NoAnswer) return undefined
    throw error
  })
}

function none(error: unknown): Got[] {
  if (error instanceof NoAnswer) return []
  throw error
}
