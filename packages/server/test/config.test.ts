import { createGates, memoryStore, type MppOptions, type Price } from '@mppkit/server'
import { toyMethod } from '@mppkit/testing/toy'
import { createToyLedger } from '@mppkit/testing/toy'
import { describe, expect, test } from 'vitest'
import { drive } from './lib/harness.ts'
import { counting } from './lib/stores.ts'

const ledger = createToyLedger()
const toy = toyMethod({ ledger, recipient: 'shop' })
const coin = toyMethod({ ledger, name: 'coin', recipient: 'shop' })
const open = toyMethod({ ledger })
const durable = counting(memoryStore())
const good: MppOptions = { realm: 'api.example.com', secret: 'x'.repeat(32), methods: [toy] }

/** Options as someone without types would write them. */
type Loose = { [name in keyof MppOptions]?: unknown }

function make(change: Loose) {
  return createGates({ ...good, ...change } as MppOptions)
}

function price(change: Record<string, unknown>, methods: MppOptions['methods'] = [toy]) {
  return make({ methods }).charge({ amount: '1.00', ...change } as Price)
}

/** What is wrong, and a word of the remedy that the message must hold. */
const SERVERS: [string, Loose, RegExp][] = [
  ['secret of 31 bytes', { secret: 'x'.repeat(31) }, /32 bytes/],
  ['no secret', { secret: undefined }, /32 bytes|secret/],
  ['an empty list of secrets', { secret: [] }, /32 bytes|secret/],
  ['a list with one short secret', { secret: ['x'.repeat(32), 'short'] }, /32 bytes/],
  ['no methods', { methods: [] }, /at least one/],
  ['methods left out', { methods: undefined }, /at least one/],
  ['an option that is not there', { secretKey: 'x'.repeat(32) } as Loose, /no option "secretKey".*secret/],
  ["a buyer's method", { methods: [{ name: 'toy', intent: 'charge' }] }, /rail of a seller/],
  ['a store that cannot swap', { store: new Map() }, /sqliteStore/],
  ['onError that is no function', { onError: 'log' }, /onError must be a function/],
  [
    'the same method twice',
    { methods: [toy, toyMethod({ ledger, recipient: 'other' })] },
    /toy\/charge twice/,
  ],
  ['a method with a bad name', { methods: [{ ...toy, name: 'To-y' }] }, /a to z/],
  [
    'live and test rails together',
    {
      methods: [
        toyMethod({ ledger, recipient: 'a', mode: 'test' }),
        toyMethod({ ledger, name: 'coin', recipient: 'a', mode: 'live' }),
      ],
    },
    /two servers/,
  ],
  ['a realm with |', { realm: 'a|b' }, /printable ASCII/],
  ['a realm that is not ASCII', { realm: 'café' }, /printable ASCII/],
  ['a realm with a line break', { realm: 'a\r\nb' }, /printable ASCII/],
  ['an empty realm', { realm: '' }, /api\.example\.com/],
  ['no realm', { realm: undefined }, /realm/],
  ['http beyond loopback', { origin: 'http://api.example.com', store: durable }, /https/],
  [
    'an origin with a path',
    { origin: 'https://api.example.com/v1', store: durable },
    /https:\/\/api\.example\.com/,
  ],
  ['an origin without a scheme', { origin: 'localhost:3000' }, /write it like "https:/],
  ['an origin that is an object', { origin: new URL('http://localhost') as never }, /write it like "https:/],
  ['an origin with a query', { origin: 'https://api.example.com?x', store: durable }, /leave out/],
  ['an origin with a user', { origin: 'https://me@api.example.com', store: durable }, /leave out/],
  ['an origin that is a host', { origin: 'api.example.com', store: durable }, /https:\/\/api\.example\.com/],
  ['an origin of another scheme', { origin: 'ftp://api.example.com', store: durable }, /https/],
  ['no store beyond loopback', { origin: 'https://api.example.com' }, /sqliteStore/],
  [
    'a memory store beyond loopback',
    { origin: 'https://api.example.com', store: memoryStore() },
    /sqliteStore/,
  ],
  ['trustProxy: 0', { trustProxy: 0 }, /number of proxies/],
  ['trustProxy: 1.5', { trustProxy: 1.5 }, /number of proxies/],
  ['trustProxy: true', { trustProxy: true }, /number of proxies/],
  ['trustProxy: "loopback"', { trustProxy: 'loopback' }, /number of proxies/],
  ['trustProxy with a name', { trustProxy: ['proxy.local'] }, /proxy\.local.*CIDR/],
  ['trustProxy with a wide mask', { trustProxy: ['10.0.0.0/33'] }, /10\.0\.0\.0\/33/],
  ['trustProxy with half an address', { trustProxy: ['10.0.0'] }, /10\.0\.0/],
  ['another header', { header: 'X-Payment' }, /Payment-Authorization/],
  ['a limit without unit', { limits: { verify: '20' } }, /20\/min/],
  ['a limit of zero', { limits: { verify: '0/min' } }, /20\/min/],
  ['cors as one origin', { cors: 'https://app.example.com' }, /list/],
  ['cors as true', { cors: true }, /list/],
  ['cors with a path', { cors: ['https://app.example.com/'] }, /https:\/\/app\.example\.com/],
]

describe('promise: a server that cannot work does not start, and the TypeError names the remedy', () => {
  test.each(SERVERS)('%s', (_name, change, remedy) => {
    expect(() => make(change)).toThrow(TypeError)
    expect(() => make(change)).toThrow(remedy)
    expect(() => make(change)).toThrow(/^(?!.*xxxxxxxx)/)
  })

  test.each<[string, Loose]>([
    ['a secret of 32 bytes in 16 letters', { secret: 'é'.repeat(16) }],
    ['a list of secrets', { secret: ['y'.repeat(32), 'x'.repeat(40)] }],
    ['loopback without a store', { origin: 'http://localhost:3000' }],
    ['[::1]', { origin: 'http://[::1]:3000' }],
    ['https on loopback without a store', { origin: 'https://localhost' }],
    ['a trailing slash', { origin: 'https://api.example.com/', store: durable }],
    ['a port', { origin: 'https://api.example.com:8443', store: durable }],
    ['proxies by number', { trustProxy: 2 }],
    ['proxies by address', { trustProxy: ['10.0.0.0/8', '::1', 'fd00::/8', '::ffff:192.0.2.1'] }],
    [
      'two test rails',
      {
        methods: [
          toyMethod({ ledger, recipient: 'a', mode: 'test' }),
          toyMethod({ ledger, name: 'coin', recipient: 'a', mode: 'test' }),
        ],
      },
    ],
    ['no limits', { limits: { verify: false } }],
    ['cors for all', { cors: '*' }],
    ['cors for some', { cors: ['https://app.example.com', 'http://localhost:5173'] }],
  ])('fine: %s', (_name, change) => {
    expect(() => make(change)).not.toThrow()
  })
})

const PRICES: [string, Record<string, unknown>, MppOptions['methods'], RegExp][] = [
  ['a number', { amount: 0.01 }, [toy], /"0\.01"/],
  ['no amount', { amount: undefined }, [toy], /"0\.01"/],
  ['an amount with a sign', { amount: '-1' }, [toy], /"0\.01"|decimal/],
  ['an exponent', { amount: '1e3' }, [toy], /"0\.01"|decimal/],
  ['a comma', { amount: '0,01' }, [toy], /"0\.01"|decimal/],
  ['an empty amount', { amount: '' }, [toy], /"0\.01"|decimal/],
  ['finer than the base unit', { amount: '0.001' }, [toy], /2 decimals/],
  ['finer than the base unit, and zero if rounded', { amount: '0.0000001' }, [toy], /2 decimals/],
  ['an unknown key', { amuont: '1' }, [toy], /no "amuont".*amount/],
  ['the name of a rail that is not there', { stripe: false }, [toy], /no "stripe".*toy/],
  ['a lifetime of 9', { lifetime: 9 }, [toy], /at least 10/],
  ['a lifetime of 10.5', { lifetime: 10.5 }, [toy], /whole seconds/],
  ['a lifetime in words', { lifetime: '5m' }, [toy], /whole seconds/],
  ['a lifetime in milliseconds', { lifetime: 2_592_001 }, [toy], /seconds/],
  ['redeem as a number', { redeem: 3 }, [toy], /redeem must be an object/],
  ['redeem as a time', { redeem: '24h' }, [toy], /redeem must be an object/],
  ['redeem as null', { redeem: null }, [toy], /redeem must be an object/],
  ['an unknown key of redeem', { redeem: { times: 3 } }, [toy], /attempts and within/],
  ['a body of no bytes', { maxBody: 0 }, [toy], /maxBody/],
  ['every rail withheld', { toy: false }, [toy], /withhold fewer/],
  ['no attempts', { redeem: { attempts: 0 } }, [toy], /at least 1/],
  ['half an attempt', { redeem: { attempts: 1.5 } }, [toy], /whole number/],
  ['a time without unit', { redeem: { within: '24' } }, [toy], /'24h'/],
  ['a time as a number', { redeem: { within: 24 } }, [toy], /'24h'/],
  ['a time of zero', { redeem: { within: '0h' } }, [toy], /'24h'/],
  ['meta with a reserved name', { meta: { _s: 'GET /' } }, [toy], /reserved/],
  ['meta with an empty name', { meta: { '': 'x' } }, [toy], /reserved/],
  ['meta that is no string', { meta: { order: 1 } }, [toy], /meta\.order/],
  ['nobody to pay', {}, [open], /recipient/],
  ['a flat recipient for two rails', { recipient: 'shop' }, [toy, coin], /toy, coin.*toy: \{ recipient/],
  ['a flat currency for two rails', { currency: 'eur' }, [toy, coin], /toy, coin.*toy: \{ currency/],
  [
    'a flat currency that fits none of two',
    { currency: '0xabc' },
    [toy, coin],
    /fits none.*toy: \{ currency/,
  ],
  ['a currency the only rail does not take', { currency: 'EURO' }, [toy], /three lower-case letters/],
  ['true in place of overrides', { toy: true }, [toy], /false or an object/],
  ['null', null as never, [toy], /a price is an object/],
]

describe('promise: a price that cannot be asked is a TypeError at construction, and names the remedy', () => {
  test.each(PRICES)('%s', (_name, change, methods, remedy) => {
    const charge = (): unknown =>
      change === null ? make({ methods }).charge(null as never) : price(change, methods)
    expect(charge).toThrow(TypeError)
    expect(charge).toThrow(remedy)
  })

  test('a lifetime of ten seconds and one of 30 days are fine', () => {
    for (const lifetime of [10, 2_592_000]) expect(() => price({ lifetime })).not.toThrow()
  })

  test('rule "Price": flat terms go to the one rail that they fit; overrides make room for them', async () => {
    const token = { ...coin, takes: (_field: string, value: string) => value.startsWith('0x') }
    const seen = (gate: ReturnType<typeof price>) =>
      gate.offers.map(({ method, request }) => [method, request['currency']])
    expect(seen(price({ currency: 'eur' }, [toy, token]))).toEqual([
      ['toy', 'eur'],
      ['coin', 'usd'],
    ])
    expect(seen(price({ currency: 'eur', coin: { currency: 'chf' } }, [toy, coin]))).toEqual([
      ['toy', 'eur'],
      ['coin', 'chf'],
    ])
    expect(seen(price({ currency: 'eur', coin: false }, [toy, coin]))).toEqual([['toy', 'eur']])
  })

  test("C26: an amount that a function makes too fine is the programmer's fault, not money rounded to nothing", async () => {
    await expect(drive(price({ amount: () => '0.001' }))).rejects.toThrow(TypeError)
    await expect(drive(price({ amount: () => 5 }))).rejects.toThrow(/decimal string/)
    await expect(drive(price({ amount: () => ({ status: 200, headers: [], body: null }) }))).rejects.toThrow(
      /401, 403, 404, 409, 422/,
    )
  })
})
