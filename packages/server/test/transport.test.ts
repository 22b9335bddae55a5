import { memoryStore, type MppOptions, type Transport } from '@mppkit/server'
import { describe, expect, test } from 'vitest'
import { buy, drive, PRICE, seller, type Ask, type Reply } from './lib/harness.ts'
import { counting } from './lib/stores.ts'
import { peerOf } from '../src/lib/web.ts'

const ORIGIN = 'https://api.example.com'
const PROXY = '10.0.0.1'

/** What a gate says to an unpaid request that came in this way. */
async function asked(options: Partial<MppOptions>, ask: Ask): Promise<Reply> {
  const shop = seller({ store: counting(memoryStore()), ...options })
  return drive(shop.charge(PRICE), ask)
}

function via(forwarded: Record<string, string>, remote = PROXY, transport: Transport = 'plain'): Ask {
  return { transport, remote, headers: forwarded }
}

describe('CORE-129, C14: which transports may carry a payment', () => {
  const cells: [string | undefined, Transport, number | 'throws'][] = [
    [undefined, 'tls', 402],
    [undefined, 'loopback', 402],
    [undefined, 'plain', 403],
    [undefined, 'unknown', 'throws'],
    [ORIGIN, 'tls', 402],
    [ORIGIN, 'loopback', 402],
    [ORIGIN, 'plain', 402],
    [ORIGIN, 'unknown', 402],
    ['http://localhost:3000', 'loopback', 402],
    ['http://localhost:3000', 'plain', 403],
  ]

  test.each(cells)('origin %s, %s: %s', async (origin, transport, expected) => {
    const options = origin === undefined ? {} : { origin }
    if (expected === 'throws') return expect(asked(options, { transport })).rejects.toThrow(/origin: "https:/)
    expect((await asked(options, { transport })).status).toBe(expected)
  })

  test('CORE-126: the refusal is 403 problem+json without any Payment field, and the credential is not read', async () => {
    const store = counting(memoryStore())
    const shop = seller({ store })
    await shop.fund()
    const gate = shop.charge(PRICE)
    const paid = await buy(shop, gate)
    const answer = await drive(gate, { ...paid, transport: 'plain' })
    expect([answer.status, answer.header('content-type'), answer.header('cache-control')]).toEqual([
      403,
      'application/problem+json',
      'no-store',
    ])
    expect(answer.headers.map(([name]) => name).filter((name) => /payment|authenticate/.test(name))).toEqual(
      [],
    )
    expect(answer.problem.type).toBe('about:blank')
    expect([shop.toy.calls.parse, store.calls.get]).toEqual([0, 0])
    expect((await drive(gate, paid)).status).toBe(200)
  })

  test('a Host, Forwarded or X-Forwarded-* header proves nothing without trustProxy', async () => {
    const headers = {
      host: 'localhost',
      forwarded: 'proto=https;for=127.0.0.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': 'localhost',
    }
    expect((await asked({}, via(headers))).status).toBe(403)
    expect((await asked({}, via(headers, '127.0.0.1'))).status).toBe(403)
  })
})

describe('C14: trustProxy by number', () => {
  const cases: [string, number, Record<string, string>, number][] = [
    ['one hop says https', 1, { 'x-forwarded-proto': 'https' }, 402],
    ['one hop says HTTPS', 1, { 'x-forwarded-proto': 'HTTPS' }, 402],
    ['one hop says http', 1, { 'x-forwarded-proto': 'http' }, 403],
    ['the client said https, the hop appends http', 1, { 'x-forwarded-proto': 'https, http' }, 403],
    ['the client said http, the hop appends https', 1, { 'x-forwarded-proto': 'http, https' }, 402],
    ['two hops, the outer one took https', 2, { 'x-forwarded-proto': 'https, http' }, 402],
    ['two hops, the client lied', 2, { 'x-forwarded-proto': 'https, http, http' }, 403],
    ['two hops, one overwrites', 2, { 'x-forwarded-proto': 'https' }, 402],
    ['no word', 1, {}, 403],
    ['nonsense', 1, { 'x-forwarded-proto': 'tls' }, 403],
  ]

  test.each(cases)('%s', async (_name, trustProxy, headers, expected) => {
    expect((await asked({ trustProxy }, via(headers))).status).toBe(expected)
  })

  test('a proxy on the same machine makes everything look like loopback; trustProxy reads what it says', async () => {
    const headers = { 'x-forwarded-for': '203.0.113.7', 'x-forwarded-proto': 'http' }
    expect((await asked({ trustProxy: 1 }, via(headers, '127.0.0.1', 'loopback'))).status).toBe(403)
  })

  test('forwarded http is refused even where the origin is https', async () => {
    expect(
      (await asked({ trustProxy: 1, origin: ORIGIN }, via({ 'x-forwarded-proto': 'http' }))).status,
    ).toBe(403)
    expect((await asked({ trustProxy: 1, origin: ORIGIN }, via({}))).status).toBe(402)
    // Also from a proxy on the same host, or one that is reached by TLS.
    expect(
      (
        await asked(
          { trustProxy: 1, origin: ORIGIN },
          via({ 'x-forwarded-proto': 'http' }, '127.0.0.1', 'loopback'),
        )
      ).status,
    ).toBe(403)
    expect(
      (await asked({ trustProxy: 1, origin: ORIGIN }, via({ 'x-forwarded-proto': 'http' }, PROXY, 'tls')))
        .status,
    ).toBe(403)
  })
})

describe('C14: trustProxy by address', () => {
  const trusted: [string[], string, boolean][] = [
    [['10.0.0.0/8'], '10.255.0.1', true],
    [['10.0.0.0/8'], '11.0.0.1', false],
    [['10.0.0.0/9'], '10.127.255.255', true],
    [['10.0.0.0/9'], '10.128.0.0', false],
    [['10.0.0.1'], '10.0.0.1', true],
    [['10.0.0.1'], '10.0.0.2', false],
    [['10.0.0.1'], '::ffff:10.0.0.1', true],
    [['::ffff:10.0.0.1'], '10.0.0.1', true],
    [['0.0.0.0/0'], '203.0.113.9', true],
    [['0.0.0.0/0'], '2001:db8::1', false],
    [['fd00::/8'], 'fd12:3456::1', true],
    [['fd00::/8'], 'fe80::1%eth0', false],
    [['fe80::/10'], 'fe80::1%eth0', true],
    [['2001:db8::/33'], '2001:db8:7fff::1', true],
    [['2001:db8::/33'], '2001:db8:8000::1', false],
    [['::1', '10.0.0.1'], '::1', true],
    [['2001:db8:0:0:0:0:0:1'], '2001:db8::1', true],
    [['2001:db8::1'], '2001:DB8:0:0:0:0:0:1', true],
    [['2001:db8:0:0:0:0:0:1'], '2001:db8:0:0:0:0:0:2', false],
    [['10.0.0.1'], 'unknown', false],
    [['10.0.0.1'], '', false],
  ]

  test.each(trusted)('%j trusts %s: %s', async (trustProxy, remote, believed) => {
    expect((await asked({ trustProxy }, via({ 'x-forwarded-proto': 'https' }, remote))).status).toBe(
      believed ? 402 : 403,
    )
  })

  test('an address that is not on the list is what it is without a list: its word for http counts as little', async () => {
    const ask = via({ 'x-forwarded-proto': 'http' }, '203.0.113.9')
    expect((await asked({ trustProxy: ['10.0.0.0/8'], origin: ORIGIN }, ask)).status).toBe(402)
    expect((await asked({ origin: ORIGIN }, ask)).status).toBe(402)
  })

  test('a socket without an address is not trusted', async () => {
    expect(
      (
        await asked(
          { trustProxy: ['0.0.0.0/0'] },
          { transport: 'plain', headers: { 'x-forwarded-proto': 'https' } },
        )
      ).status,
    ).toBe(403)
  })

  test('the chain is read from the right, as far as hops are trusted', async () => {
    const chain = {
      'x-forwarded-for': '127.0.0.1, 203.0.113.7, 10.0.0.2',
      'x-forwarded-proto': 'https, http, http',
    }
    // The client (203.0.113.7) spoke http to 10.0.0.2; its own first words count for nothing.
    expect((await asked({ trustProxy: ['10.0.0.0/8'] }, via(chain))).status).toBe(403)
    const good = {
      'x-forwarded-for': '127.0.0.1, 203.0.113.7, 10.0.0.2',
      'x-forwarded-proto': 'http, https, http',
    }
    expect((await asked({ trustProxy: ['10.0.0.0/8'] }, via(good))).status).toBe(402)
  })
})

describe('rule 16, C36: refused credentials are counted by the address that a trusted hop saw', () => {
  const client = (address: string): Ask =>
    via({ 'x-forwarded-proto': 'https', 'x-forwarded-for': `127.0.0.1, ${address}` })

  test.each([
    ['by number', 1],
    ['by address', [PROXY]],
  ] as const)('trustProxy %s', async (_name, trustProxy) => {
    const shop = seller({
      store: counting(memoryStore()),
      origin: ORIGIN,
      trustProxy,
      limits: { verify: '2/min' },
    })
    const gate = shop.charge(PRICE)
    const refused = async (ask: Ask): Promise<number> => {
      const { challenges } = await drive(gate, ask)
      const authorization = await shop.wallet.pay(challenges[0]!, { signature: 'AAAA' })
      return (await drive(gate, { ...ask, headers: { ...ask.headers, authorization } })).status
    }
    const seen: number[] = []
    for (const address of ['203.0.113.7', '203.0.113.7', '203.0.113.7', '203.0.113.8'])
      seen.push(await refused(client(address)))
    expect(seen).toEqual([402, 402, 429, 402])
  })

  const twice = async (transport: Transport): Promise<number[]> => {
    const shop = seller({ store: counting(memoryStore()), origin: ORIGIN, limits: { verify: '1/min' } })
    const gate = shop.charge(PRICE)
    const seen: number[] = []
    for (const address of ['127.0.0.1', '203.0.113.8']) {
      const ask = via({ 'x-forwarded-for': address }, PROXY, transport)
      const { challenges } = await drive(gate, ask)
      const authorization = await shop.wallet.pay(challenges[0]!, { signature: 'AAAA' })
      seen.push((await drive(gate, { ...ask, headers: { ...ask.headers, authorization } })).status)
    }
    return seen
  }

  test('without trustProxy the socket counts, whatever X-Forwarded-For says', async () => {
    expect(await twice('tls')).toEqual([402, 429])
  })

  test('behind a proxy that is not named nobody is locked out for another', async () => {
    expect(await twice('plain')).toEqual([402, 402])
  })
})

test.each<[string, Parameters<typeof peerOf>[0], Transport, string | undefined]>([
  ['loopback', { remoteAddr: { hostname: '127.0.0.1' } }, 'loopback', '127.0.0.1'],
  ['an address', { remoteAddr: { hostname: '203.0.113.7' } }, 'unknown', '203.0.113.7'],
  ['a Unix socket', { remoteAddr: {} }, 'unknown', undefined],
  ['nothing', {}, 'unknown', undefined],
])('C14: where the runtime shows %s beside the request', (_name, beside, transport, remote) => {
  expect(peerOf(beside)).toEqual({ transport, remote })
})
