import { parsePaymentInfo } from '@mppkit/core'
import { createGates, createMpp, memoryStore, paid, type Api, type Gate } from '@mppkit/server'
import { createToyLedger, toyMethod } from '@mppkit/testing/toy'
import { afterAll, describe, expect, test } from 'vitest'
import { apiOf, askDiscovery, guardsOf, sellerOptions } from './lib/discovery.ts'
import { seller } from './lib/harness.ts'
import { counting } from './lib/stores.ts'

type Guard = ReturnType<typeof paid>

const mpp = createMpp(sellerOptions)
const other = createMpp(sellerOptions)
const photo = mpp.charge({ amount: '1.50', description: 'A photo' })
const info = { title: 'Photos', version: '1.0.0' }
afterAll(() => {
  mpp.close()
  other.close()
})

askDiscovery('fetch', async (options) => {
  const mpp = createMpp(options)
  const guards = guardsOf(mpp)
  const api = mpp.openapi(apiOf(guards))
  const routes: Record<string, (request: Request) => Response | Promise<Response>> = {
    '/openapi.json': () => Response.json(api.document, { headers: api.headers }),
    '/llms.txt': () => new Response(api.llms, { headers: api.headers }),
    '/free': () => new Response('pong'),
  }
  for (const [name, guard] of Object.entries(guards)) routes[`/${name}`] = guard(() => new Response('sold'))
  return {
    ask: async (path, init) => {
      const route = routes[`/${path.split(/[/?]/)[1]!}`]!
      return route(new Request(`http://localhost${path}`, init))
    },
    close: mpp.close,
  }
})

/** The document of one operation, as anyone would read it. */
function operationOf(operation: unknown, path = '/photo'): Record<string, any> {
  const { document } = mpp.openapi({ info, paths: { [path]: { get: operation as Guard } } })
  return JSON.parse(JSON.stringify(document)).paths[path].get
}

describe('the document', () => {
  test('DISC-004 DISC-008 DISC-009 DISC-010 DISC-011 is OpenAPI 3.1, with what the seller has said', () => {
    const { document } = mpp.openapi({
      info: { ...info, contact: { email: 'a@b.example' } },
      servers: [{ url: 'https://photos.example' }],
      'x-logo': { url: 'https://photos.example/logo' },
      paths: { '/photo': { summary: 'Photos', get: photo, parameters: [] } },
    } as Api<Guard>)
    expect(Object.keys(document)).toEqual(['openapi', 'info', 'servers', 'x-logo', 'paths'])
    expect(document.openapi).toMatch(/^3\.\d+\.\d+$/)
    expect(document.info).toEqual({ ...info, contact: { email: 'a@b.example' } })
    expect(document.paths['/photo']).toMatchObject({ summary: 'Photos', parameters: [] })
  })

  test('DISC-012 DISC-014 DISC-020 tells of the service', () => {
    const service = {
      categories: ['media', 'anything-goes'],
      docs: { homepage: 'https://photos.example', llms: 'https://photos.example/llms.txt' },
    }
    const { document } = mpp.openapi({ info, service, paths: { '/photo': { get: photo } } })
    expect(document['x-service-info']).toEqual(service)
    expect(mpp.openapi({ info, paths: { '/photo': { get: photo } } }).document).not.toHaveProperty(
      'x-service-info',
    )
  })

  test('DISC-023 DISC-024 DISC-025 DISC-029 DISC-030 DISC-037 lists offers, in the form for several', () => {
    const told = operationOf(
      mpp.charge({ amount: '1.50', description: 'A photo', externalId: 'o-1', toy: false }),
    )
    expect(told['x-payment-info']).toEqual({
      offers: [{ intent: 'charge', method: 'coin', amount: '1500', currency: 'eur', description: 'A photo' }],
    })
    expect(parsePaymentInfo(told['x-payment-info'])).toHaveLength(1)
  })

  test('DISC-031 DISC-032 a computed amount is null, and is there', () => {
    const { 'x-payment-info': announced } = operationOf(mpp.charge({ amount: () => '1.00' }))
    expect(announced.offers).toEqual([
      { intent: 'charge', method: 'toy', amount: null, currency: 'usd' },
      { intent: 'charge', method: 'coin', amount: null, currency: 'eur' },
    ])
  })

  test('DISC-033 DISC-034 amounts are base units without leading zeros', () => {
    for (const [amount, toy, coin] of [
      ['0', '0', '0'],
      ['0.01', '1', '10'],
      ['10', '1000', '10000'],
    ] as const)
      expect(
        operationOf(mpp.charge({ amount }))['x-payment-info'].offers.map(
          (offer: { amount: string }) => offer.amount,
        ),
      ).toEqual([toy, coin])
  })

  test('DISC-038 a paid operation declares its 402, a free one does not', () => {
    expect(operationOf(photo).responses).toMatchObject({
      200: { description: 'OK' },
      402: { description: 'Payment Required' },
    })
    const own = operationOf({ guard: photo, responses: { 200: { description: 'A JPEG' } } }).responses
    expect([own[200].description, own[402].description]).toEqual(['A JPEG', 'Payment Required'])
    const both = { 402: { description: 'Pay first' }, 404: { description: 'Sold out' } }
    expect(operationOf({ guard: photo, responses: both }).responses).toEqual(both)
    expect(operationOf({}).responses).toEqual({ 200: { description: 'OK' } })
    expect(operationOf({ summary: 'Free' })).not.toHaveProperty('x-payment-info')
  })

  test('parameters of the path are declared, unless they are', () => {
    const declared = { name: 'id', in: 'path', required: true, schema: { type: 'integer' } }
    const made = { ...declared, schema: { type: 'string' } }
    const query = { name: 'size', in: 'query' }
    expect(operationOf(photo, '/photo/{id}').parameters).toEqual([made])
    expect(operationOf({ guard: photo, parameters: [query, declared] }, '/photo/{id}').parameters).toEqual([
      query,
      declared,
    ])
    expect(operationOf({ guard: photo, parameters: [query] }, '/{a}/{b}').parameters).toEqual([
      query,
      { ...made, name: 'a' },
      { ...made, name: 'b' },
    ])
    const shared = { $ref: '#/components/parameters/id' }
    expect(operationOf({ guard: photo, parameters: [shared] }, '/photo/{id}').parameters).toEqual([shared])
    const { document } = mpp.openapi({ info, paths: { '/p/{id}': { parameters: [declared], get: photo } } })
    expect(document.paths['/p/{id}']!['get']).not.toHaveProperty('parameters')
  })

  test('DISC-041 DISC-042 DISC-048 is cached for five minutes and can be read from everywhere', () => {
    expect(mpp.openapi({ info, paths: { '/photo': { get: photo } } }).headers).toEqual({
      'cache-control': 'public, max-age=300',
      'access-control-allow-origin': '*',
    })
  })

  test('does not hold the guard, nor change what it was made of', () => {
    const operation = Object.freeze({ guard: photo, responses: Object.freeze({}) })
    const { document } = mpp.openapi(
      Object.freeze({ info, paths: Object.freeze({ '/photo': Object.freeze({ get: operation }) }) }),
    )
    expect(document.paths['/photo']!['get']).not.toHaveProperty('guard')
    expect(Object.keys(operation)).toEqual(['guard', 'responses'])
    expect(Object.keys(photo)).toEqual([])
  })

  test('gates of createGates describe themselves as well', () => {
    const { openapi, charge, close } = createGates(sellerOptions)
    const gate: Gate = charge({ amount: '2', coin: false })
    const { document } = openapi({ info, paths: { '/a': { get: gate } } })
    expect(document.paths['/a']!['get']).toMatchObject({ 'x-payment-info': { offers: [{ amount: '200' }] } })
    expect(() =>
      openapi({ info, paths: { '/a': { get: (async () => ({ kind: 'pass' })) as never } } }),
    ).toThrow(/not what mpp\.charge/)
    close()
  })

  test('a rail whose terms the draft has no word for is not announced as something else', () => {
    const ledger = createToyLedger()
    const toy = toyMethod({ ledger, recipient: 'shop' })
    const odd = { ...toy, quote: (price: never) => ({ ...toy.quote(price), amount: 'much' }) }
    const gates = createGates({ ...sellerOptions, methods: [odd] })
    const gate = gates.charge({ amount: '1' })
    expect(() => gates.openapi({ info, paths: { '/a': { get: gate } } })).toThrow(
      /paths\["\/a"\]\.get cannot be announced/,
    )
    gates.close()
  })

  test('nothing is announced that is not asked: in shadow mode all is free', () => {
    const shop = seller({ enforce: false, onShadow: () => {} })
    const { document, llms } = shop.openapi({ info, paths: { '/a': { get: shop.charge({ amount: '1' }) } } })
    expect(document.paths['/a']!['get']).toEqual({ responses: { 200: { description: 'OK' } } })
    expect(llms).not.toContain('402')
  })
})

describe('what cannot be described is a TypeError that names the remedy', () => {
  const foreign = other.charge({ amount: '1' })
  const handler = photo(() => new Response('sold'))
  const cases: [string, object, RegExp][] = [
    ['nothing', {}, /openapi needs \{ info/],
    ['no info', { paths: { '/a': { get: photo } } }, /openapi needs/],
    ['DISC-009 no title', { info: { version: '1' }, paths: { '/a': { get: photo } } }, /info\.title/],
    ['DISC-009 an empty title', { info: { title: '', version: '1' }, paths: {} }, /info\.title/],
    ['DISC-010 a version that is a number', { info: { title: 'a', version: 1 }, paths: {} }, /info\.version/],
    ['DISC-011 no path', { info, paths: {} }, /no operation/],
    ['DISC-011 a path without operations', { info, paths: { '/a': {} } }, /no operation/],
    ['an unknown member', { info, paths: {}, routes: {} }, /no "routes"/],
    ['a parameter as a router writes it', { info, paths: { '/a/:id': { get: photo } } }, /\/photos\/\{id\}/],
    ['a parameter as Next writes it', { info, paths: { '/a/[id]': { get: photo } } }, /\/photos\/\{id\}/],
    ['a wildcard', { info, paths: { '/a/*': { get: photo } } }, /\/photos\/\{id\}/],
    ['a path without a slash', { info, paths: { a: { get: photo } } }, /\/photos\/\{id\}/],
    ['a path that is a guard', { info, paths: { '/a': photo } }, /object of operations/],
    ['a method in capitals', { info, paths: { '/a': { GET: photo } } }, /no "GET"; it knows get/],
    ['a guard of another server', { info, paths: { '/a': { get: foreign } } }, /not what mpp\.charge/],
    ['… under its name', { info, paths: { '/a': { get: { guard: foreign } } } }, /\.guard is not what/],
    [
      'a guard that is undefined',
      { info, paths: { '/a': { get: { guard: undefined } } } },
      /\.guard is not what/,
    ],
    ['the guarded handler', { info, paths: { '/a': { get: handler } } }, /keep that in a constant/],
    [
      'a guard under another name',
      { info, paths: { '/a': { get: { price: photo } } } },
      /no "price"; it knows guard/,
    ],
    ['DISC-038 a paid HEAD', { info, paths: { '/a': { head: photo } } }, /HEAD is never paid/],
    ['a paid OPTIONS', { info, paths: { '/a': { options: photo } } }, /OPTIONS is never paid/],
    [
      'offers of its own',
      { info, paths: { '/a': { get: { guard: photo, 'x-payment-info': {} } } } },
      /x-payment-info of its own/,
    ],
    [
      'DISC-014 categories that are no list',
      { info, service: { categories: 'media' }, paths: {} },
      /list of words/,
    ],
    [
      'DISC-014 a category that is no text',
      { info, service: { categories: [1] }, paths: {} },
      /list of words/,
    ],
    ['DISC-013 an unknown member of service', { info, service: { name: 'a' }, paths: {} }, /no "name"/],
    [
      'DISC-021 docs that are no URI',
      { info, service: { docs: { llms: '/llms.txt' } }, paths: {} },
      /absolute URI/,
    ],
    [
      'DISC-020 docs that are a text',
      { info, service: { docs: 'https://a' }, paths: {} },
      /must be an object/,
    ],
    ['DISC-020 unknown docs', { info, service: { docs: { home: 'https://a' } }, paths: {} }, /no "home"/],
  ]
  test.each(cases)('%s', (_name, api, message) => {
    expect(() => mpp.openapi(api as Api<Guard>)).toThrow(TypeError)
    expect(() => mpp.openapi(api as Api<Guard>)).toThrow(message)
  })
})

describe('llms.txt', () => {
  const described = (changes: object = {}, seller: object = {}) => {
    const shop = createMpp({ ...sellerOptions, store: counting(memoryStore()), ...seller })
    const guard = shop.charge({ amount: '0.01', toy: { currency: 'usd' }, coin: false })
    const { llms } = shop.openapi({
      info: { ...info, description: 'Photos by the piece' },
      paths: {
        '/photos/{id}': { get: { guard, summary: 'One photo.' }, delete: { description: 'Forgets it' } },
        '/prints': { post: shop.charge({ amount: () => '1' }) },
        '/me': { get: shop.charge({ amount: '0', coin: false }) },
      },
      ...changes,
    })
    shop.close()
    return llms
  }

  test('says what is for sale, for how much, and how to pay', () => {
    expect(described({}, { origin: 'https://photos.example/' })).toBe(
      [
        '# Photos\n',
        '> Photos by the piece\n',
        'Some operations are paid for by the request, over HTTP 402, without an account. Send the request; the 402 ' +
          'carries `WWW-Authenticate: Payment` challenges, which say what is due (the prices below are for ' +
          'orientation). Pay one of them, and send the same request again with `Authorization: Payment ' +
          '<credential>`. The protocol: https://paymentauth.org.\n',
        '## Paid operations\n',
        '- `GET https://photos.example/photos/{id}`: One photo. Price: 0.01 USD by toy.',
        '- `POST https://photos.example/prints` The price depends on the request, paid by toy or coin.',
        '- `GET https://photos.example/me` Price: nothing but a proof of identity by toy.\n',
        '## Free operations\n',
        '- `DELETE https://photos.example/photos/{id}`: Forgets it.\n',
        '## Documents\n',
        '- [OpenAPI document](https://photos.example/openapi.json)\n',
      ].join('\n'),
    )
  })

  test('names the header that carries credentials, and the documents of the service', () => {
    const service = { docs: { apiReference: 'https://a.example/ref', homepage: 'https://a.example' } }
    const llms = described({ service }, { header: 'Payment-Authorization' })
    expect(llms).toContain('`Payment-Authorization: Payment <credential>`')
    expect(llms).toContain('- [Reference](https://a.example/ref)\n- [Homepage](https://a.example)\n')
  })

  test('a text stays in its line', () => {
    const llms = described({ info: { title: 'a\n# b', version: '1', description: 'c\r\n\n## d' } })
    expect(llms).toContain('# a # b\n')
    expect(llms).toContain('> c ## d\n')
  })
})
