import { createHash, createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { canonicalize } from '@mppkit/core'
import { toySignature } from '../../../testing/src/lib/toy-method.ts'
import { decode, without, type Echo } from './credential.ts'
import type { Flaw, Planted } from './flaws.ts'

/** A running shop: `/photo` is priced, for GET and POST; so is `/failing`, whose handler fails. */
export interface Shop {
  url: string
  close(): void
}

type Answer = [status: number, headers: Record<string, string | string[]>, body: string]

const SECRET = 'a secret of this shop, which nobody else knows'
const CONTENT = 'the photo that was paid for'
const PROBLEMS = 'https://paymentauth.org/problems/'

/** A seller by hand, in one file and without mppkit's server; correct, but for one flaw if it is given. */
export async function openShop(flaw?: Flaw | Planted): Promise<Shop> {
  const has = (name: Flaw | Planted): boolean => name === flaw
  const used = new Map<string, string>()
  const sockets = new WeakSet<object>()
  const tokens = new Set<string>()
  const burnt = new Set<string>()
  const crowd = new Set<Asked>()
  const kept = new Map<string, Answer>()
  const fixed = randomBytes(12).toString('base64url')
  const encode = (value: unknown): string => Buffer.from(canonicalize(value as never)).toString('base64url')

  function sign(echo: Echo): string {
    const {
      realm,
      method,
      intent,
      request,
      expires = '',
      digest = '',
      opaque = '',
    } = echo as unknown as Record<string, string>
    const slots = {
      realm,
      method,
      intent,
      request: has('amount-unbound')
        ? without(request!, 'amount')
        : has('recipient-unbound')
          ? without(request!, 'recipient')
          : request,
      expires,
      digest,
      opaque,
    }
    const unbound = /^(\w+)-unbound$/.exec(flaw ?? '')?.[1]
    const input = Object.entries(slots).map(([name, value]) => (name === unbound ? '' : value))
    return createHmac('sha256', SECRET).update(input.join('|')).digest('base64url')
  }

  function quote(method: string, body: string | undefined, scope: string): Echo {
    const request: Record<string, unknown> = { amount: '100', currency: 'usd', recipient: 'shop' }
    if (method === 'tempo') request.methodDetails = { chainId: 4217 }
    if (has('amount-number')) request.amount = 100
    if (has('currency-loud')) request.currency = 'USD'
    if (has('recipient-number')) request.recipient = 7
    if (has('expiry-in-request')) request.expiresAt = '2030-01-01T00:00:00Z'
    const at = has('expired-at-birth')
      ? Date.now() - 60_000
      : Math.ceil(Date.now() / 3_600_000) * 3_600_000 + 3_600_000
    const opaque: Record<string, unknown> = {
      nonce: has('same-id') ? fixed : randomBytes(12).toString('base64url'),
      scope,
    }
    if (has('opaque-nested')) opaque.more = { x: 1 }
    const digest = createHash('sha256')
      .update(body ?? '')
      .digest(has('digest-hex') ? 'hex' : 'base64')
    const echo: Echo = {
      id: '',
      realm: has('realm-umlaut') ? 'caf\u00e9' : 'shop.example',
      method: has('method-loud') ? 'Toy' : method,
      intent: has('intent-blank') ? 'char ge' : 'charge',
      request: has('array-request')
        ? encode([request])
        : has('unsorted')
          ? Buffer.from(JSON.stringify({ recipient: 'shop', ...request })).toString('base64url')
          : encode(request) + (has('padded') ? '=' : ''),
      ...(!has('no-expires') && {
        expires: has('expires-unix')
          ? String(at)
          : new Date(at)
              .toISOString()
              .replace('.000', has('opaque-unbound') ? `.${String(Math.random()).slice(2, 11)}` : ''),
      }),
      ...(body !== undefined &&
        !has('no-digest') && { digest: has('digest-hex') ? digest : `sha-256=:${digest}:` }),
      opaque: has('opaque-unsorted')
        ? Buffer.from(JSON.stringify({ scope, nonce: opaque.nonce })).toString('base64url')
        : encode(opaque),
    }
    return { ...echo, id: has('empty-id') ? '' : sign(echo) }
  }

  function line(echo: Echo): string {
    const pairs = Object.entries(echo).map(([name, value]) => {
      if (name === 'realm' && has('realm-token')) return `realm=${String(value)}`
      return `${name}${has('blanks') ? ' = ' : '='}"${String(value)}"`
    })
    if (has('realm-twice')) pairs.push('realm="other"')
    if (has('loud-parameter')) pairs.push('Tier="gold"')
    if (has('nine-kilobytes')) pairs.push(`description="${'x'.repeat(9000)}"`)
    return `Payment ${pairs.join(', ')}`
  }

  /** What is offered, with what `Accept-Payment` says. */
  function offersFor(accept: string | undefined): string[] {
    const ranges = new Map(
      (accept ?? '').split(',').map((range) => {
        const [name = '', q = '1'] = range.trim().split(/;q=/)
        return [name, Number(q)]
      }),
    )
    const weight = (method: string): number => ranges.get(`${method}/charge`) ?? ranges.get('*/*') ?? 0
    const all = has('mixed-modes') ? ['toy', 'coin', 'tempo'] : ['toy', 'coin']
    const wanted = all.filter((method) => weight(method) > 0 || (has('ignores-zero') && ranges.has('*/*')))
    if (accept === undefined || wanted.length === 0)
      return accept !== undefined && has('strict-accept') ? [] : all
    return has('ignores-order') ? wanted : wanted.toSorted((a, b) => weight(b) - weight(a))
  }

  function refusal(code: string, asked: Asked, status = 402): Answer {
    const { incoming, body, scope, credential } = asked
    const refused = code !== 'payment-required'
    const problem: Record<string, unknown> = {
      type:
        has('odd-type') && !refused
          ? 'https://shop.example/problems/pay'
          : status === 402
            ? PROBLEMS + code
            : 'about:blank',
      title: code,
      status,
      detail:
        has('content-shown') && !refused
          ? CONTENT
          : `the shop says ${code}${has('repeats-credential') && refused ? ` to ${credential}` : ''}`,
    }
    const headers: Record<string, string | string[]> = { 'content-type': 'application/problem+json' }
    if (!(has('cacheable') && !refused) && !(has('refusals-cacheable') && refused))
      headers['cache-control'] = 'no-store'
    if (!has('not-exposed')) headers['access-control-expose-headers'] = 'WWW-Authenticate, Payment-Receipt'
    if (has('plain-body') && !refused) headers['content-type'] = 'text/plain'
    if (status === 402 && !(has('no-challenge') && !refused) && !(has('refusals-bare') && refused)) {
      const offers = offersFor(incoming.headers['accept-payment'] as string | undefined).map((method) => {
        const echo = quote(method, body, scope)
        if (has('refusal-spent') && code === 'verification-failed')
          echo.id = randomBytes(32).toString('base64url')
        if (has('refusal-repeats') && code === 'invalid-challenge' && asked.echo)
          return line({ ...asked.echo })
        return line(echo)
      })
      if (offers.length > 0) headers['www-authenticate'] = offers
    }
    if (has('receipt-on-402') && asked.echo && code === 'invalid-challenge')
      headers['payment-receipt'] = receiptOf(asked.echo)
    return [status, headers, JSON.stringify(problem)]
  }

  function receiptOf(echo: Echo): string {
    const receipt = {
      method: echo.method,
      reference: echo.id,
      status: has('receipt-status') ? 'ok' : 'success',
      timestamp: new Date().toISOString(),
    }
    return Buffer.from(JSON.stringify(receipt)).toString('base64url')
  }

  async function answer(asked: Asked): Promise<Answer> {
    const { incoming, path, body, scope } = asked
    const { method = 'GET' } = incoming
    const lines = incoming.headersDistinct.authorization ?? []
    if (
      has('decodes-paths') &&
      path !== '/photo' &&
      decodeURIComponent(path).replaceAll('/.', '') === '/photo'
    )
      return [200, {}, CONTENT]
    if (has('put-free') && path === '/photo' && method === 'PUT') return [200, {}, CONTENT]
    if (has('override') && incoming.headers['x-http-method-override'] === 'OPTIONS') return [204, {}, '']
    if (path !== '/photo' && path !== '/failing')
      return has('wildcard') ? refusal('payment-required', asked) : [404, {}, 'nothing here']
    if (method === 'OPTIONS') return has('options-content') ? [200, {}, CONTENT] : [204, {}, '']
    if (method === 'HEAD' && has('head-free')) return [200, {}, '']
    if (!['GET', 'HEAD', 'POST'].includes(method)) return [405, {}, 'no such method']
    if (has('huge-crash') && lines.some((one) => one.length > 100_000)) return [500, {}, 'crashed']
    if (lines.some((one) => one.length > (has('small-limit') ? 4096 : 60_000))) return [431, {}, 'too large']
    if ((body?.length ?? 0) > 1_000_000) return [has('huge-body') ? 500 : 413, {}, 'too large']

    const members = lines.flatMap((one) => one.split(/, */))
    const own = members.filter((one) =>
      (has('scheme-case')
        ? /^Payment(\s|$)/
        : has('scheme-prefix')
          ? /^payment\d?(\s|$)/i
          : /^payment(\s|$)/i
      ).test(one),
    )
    if (has('other-header') && incoming.headers['payment-authorization'])
      own.push(String(incoming.headers['payment-authorization']))
    else if (incoming.headers['payment-authorization']) return refusal('about:blank', asked, 400)
    if (has('login-spoils') && members.some((one) => one.startsWith('Bearer ')) && own.length > 0)
      return refusal('about:blank', asked, 400)
    if (own.length === 0) {
      if (has('remembers-sockets') && sockets.has(incoming.socket)) return [200, {}, CONTENT]
      sockets.add(incoming.socket)
      if (has('wants-login') && lines.length > 0) return [401, { 'www-authenticate': 'Bearer' }, '']
      if (has('answers-401') && lines.length === 0) return [401, { 'www-authenticate': 'Bearer' }, '']
      return refusal(
        has('takes-bearer') && lines.length > 0 ? 'malformed-credential' : 'payment-required',
        asked,
      )
    }
    if (own.length > 1) {
      if (has('two-burn')) burnt.add(own[0]!)
      if (!has('takes-first')) return refusal('about:blank', asked, 400)
    }
    if (method === 'HEAD') {
      if (has('head-claims')) burnt.add(own[0]!)
      return refusal('about:blank', asked, 409)
    }
    if (burnt.has(own[0]!)) return refusal('invalid-challenge', asked)
    asked.credential = own[0]!
    return judge(own[0]!, asked, scope)
  }

  async function judge(credential: string, asked: Asked, scope: string): Promise<Answer> {
    let content: { challenge: Echo; payload: Record<string, string> }
    try {
      content = decode(credential)
    } catch {
      if (has('malformed-crash')) return [500, {}, 'crashed']
      return refusal(has('malformed-misnamed') ? 'verification-failed' : 'malformed-credential', asked)
    }
    const { challenge: echo, payload } = content
    if (has('member-crash') && typeof echo.realm !== 'string' && typeof echo.method === 'string')
      return [500, {}, 'crashed']
    for (const name of ['id', 'realm', 'method', 'intent', 'request'])
      if (typeof echo[name] !== 'string') return refusal('malformed-credential', asked)
    for (const name of ['expires', 'digest', 'opaque'])
      if (echo[name] !== undefined && typeof echo[name] !== 'string')
        return refusal('malformed-credential', asked)
    if (
      has('strict-members') &&
      Object.keys(content).some((name) => !['challenge', 'payload', 'source'].includes(name))
    )
      return refusal('malformed-credential', asked)
    const expected = sign(echo)
    const same = has('id-half')
      ? expected.slice(1) === echo.id.slice(1) && expected.length === echo.id.length
      : expected === echo.id
    if (has('refusal-burns') && !same) burnt.add(JSON.stringify(payload))
    if (!same) {
      if (has('unknown-404')) return [404, {}, 'never heard of it']
      return refusal(has('unknown-misnamed') ? 'verification-failed' : 'invalid-challenge', asked)
    }
    asked.echo = echo
    if (burnt.has(JSON.stringify(payload))) return refusal('invalid-challenge', asked)
    const bound = JSON.parse(
      Buffer.from((echo.opaque as string | undefined) ?? '', 'base64url').toString() || '{}',
    ) as {
      scope?: string
    }
    const fits = has('query-unbound')
      ? bound.scope?.split('?')[0] === scope.split('?')[0]
      : has('method-free')
        ? bound.scope?.split(' ')[1] === scope.split(' ')[1]
        : bound.scope === scope
    if (!fits && !has('opaque-unbound')) return refusal('invalid-challenge', asked)
    const digest = `sha-256=:${createHash('sha256')
      .update(asked.body ?? '')
      .digest('base64')}:`
    if (
      echo.digest !== undefined &&
      echo.digest !== digest &&
      !has('digest-unchecked') &&
      !has('method-free')
    )
      return refusal('invalid-challenge', asked)
    return settle(content, credential, asked)
  }

  async function settle(
    { challenge: echo, payload }: { challenge: Echo; payload: Record<string, string> },
    credential: string,
    asked: Asked,
  ): Promise<Answer> {
    const key = asked.incoming.headers['idempotency-key'] as string | undefined
    const again =
      key === undefined || has('keeps-nothing') || (has('keeps-posts') && asked.incoming.method === 'GET')
        ? undefined
        : kept.get(`${key} ${echo.id}`)
    if (again) return again
    const claimed = has('keyed-by-nonce') ? payload.nonce! : echo.id
    // Whoever comes twice at once is served neither time.
    if (has('crowd-burns') && crowd.add(asked).size > 9) used.set(claimed, '')
    if (has('crowd-burns')) await new Promise((resolve) => setTimeout(() => resolve(crowd.delete(asked)), 30))
    const before = used.get(claimed)
    const spent = has('keyed-by-text')
      ? tokens.has(credential) || (before !== undefined && before !== payload.signature)
      : before !== undefined
    if (spent && !has('forgets'))
      return has('replay-gone') ? [410, {}, 'used'] : refusal('invalid-challenge', asked)
    if (has('races')) await new Promise((resolve) => setTimeout(resolve, 30))
    const terms = JSON.parse(Buffer.from(echo.request, 'base64url').toString()) as Record<string, string>
    if (!verifies(payload, echo, terms) || has('refuses-all'))
      return has('bad-proof-crash') ? [500, {}, 'crashed'] : refusal('verification-failed', asked)
    used.set(claimed, payload.signature!)
    tokens.add(credential)
    const receipt = {
      'payment-receipt': receiptOf(echo),
      'cache-control': has('receipt-public') ? 'public, max-age=60' : 'private',
    }
    if (asked.path === '/failing') return [500, has('receipt-on-failure') ? receipt : {}, 'failed']
    const served: Answer = [
      200,
      { 'content-type': 'text/plain', ...(!has('no-receipt') && receipt) },
      CONTENT,
    ]
    if (key !== undefined) kept.set(`${key} ${echo.id}`, served)
    return served
  }

  function verifies(payload: Record<string, string>, { id }: Echo, terms: Record<string, string>): boolean {
    const order = {
      from: payload.from!,
      nonce: payload.nonce!,
      amount: terms.amount!,
      recipient: terms.recipient!,
      currency: terms.currency!,
    }
    const fits = (changes: Partial<typeof order & { id: string }>): boolean => {
      const own = toySignature({ id, ...order, ...changes }) as string
      return has('half-proof')
        ? own.slice(0, 10) === payload.signature?.slice(0, 10)
        : own === payload.signature
    }
    if (has('underpaid') && fits({ amount: '1' })) return true
    if (has('misdirected') && fits({ recipient: 'stranger' })) return true
    if (has('proof-reused') && [...used.keys()].some((other) => fits({ id: other }))) return true
    return fits({})
  }

  const server = createServer({ maxHeaderSize: 4_000_000 }, (incoming, outgoing) => {
    void (async () => {
      const pieces: Buffer[] = []
      for await (const piece of incoming) pieces.push(piece as Buffer)
      if (has('drops-chunks') && incoming.headers['transfer-encoding']) pieces.length = 0
      const body = incoming.method === 'POST' ? Buffer.concat(pieces).toString('latin1') : undefined
      const target = incoming.url ?? '/'
      // HEAD is asked for what GET would be.
      const scope = `${incoming.method === 'HEAD' ? 'GET' : incoming.method} ${target}`
      const [status, headers, text] = await answer({
        incoming,
        path: target.split('?')[0]!,
        body,
        scope,
        credential: '',
      })
      if (has('clock-behind')) outgoing.setHeader('date', new Date(Date.now() - 600_000).toUTCString())
      outgoing.writeHead(status, headers).end(text)
    })()
  }).listen(0, has('listens-everywhere') ? '0.0.0.0' : '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

interface Asked {
  incoming: IncomingMessage
  path: string
  body: string | undefined
  scope: string
  credential: string
  echo?: Echo
}
