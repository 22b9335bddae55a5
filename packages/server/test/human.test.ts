import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { decodeRequest } from '@mppkit/core'
import type { MppOptions, Page, Price } from '@mppkit/server'
import { createToyLedger, toyMethod } from '@mppkit/testing/toy'
import { describe, expect, test } from 'vitest'
import { buy, drive, seller, type Ask, type Reply, type SellerOptions } from './lib/harness.ts'
import { counting } from './lib/stores.ts'
import { memoryStore } from '@mppkit/server'

const CHROME =
  'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7'
const browser = { accept: CHROME }

interface Opened {
  price?: Partial<Price>
  ask?: Ask
  options?: SellerOptions
}

/** What somebody sees who opens a paid address. */
async function open({ price = {}, ask = {}, options = {} }: Opened = {}): Promise<Reply> {
  const shop = seller({ page: true, ...options })
  const reply = await drive(shop.charge({ amount: '1.00', ...price } as Price), { headers: browser, ...ask })
  shop.close()
  return reply
}

const isPage = ({ header }: Reply): boolean => header('content-type') === 'text/html; charset=utf-8'

describe('who gets the page', () => {
  test.each([
    ['Chrome', CHROME],
    ['Firefox', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
    ['Safari', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
    ['HTML and nothing else', 'text/html'],
    ['in capitals, with blanks', 'Text/HTML ; Q=1 , application/json ; q=0.9'],
    ['a weight above that of JSON', 'application/json;q=0.5, text/html;q=0.501'],
  ])('CORE-001 a browser that opens the address: %s', async (_name, accept) => {
    const reply = await open({ ask: { headers: { accept } } })
    expect([reply.status, isPage(reply)]).toEqual([402, true])
  })

  test.each([
    ['anything', '*/*'],
    ['HTML or anything, alike', 'text/html, */*'],
    ['JSON', 'application/json'],
    ['problems', 'application/problem+json'],
    ['JSON, or HTML alike', 'application/json, text/html'],
    ['JSON rather than HTML', 'text/html;q=0.5, application/json;q=0.6'],
    ['problems as gladly as HTML', 'text/html, application/problem+json'],
    ['any application as gladly as HTML', 'text/html;q=0.8, application/*;q=0.8'],
    ['no HTML', 'text/html;q=0'],
    ['any text', 'text/*'],
    ['a weight that is none', 'text/html;q=2'],
    ['something like HTML', 'text/html-sandboxed'],
    ['nothing', ''],
  ])('CORE-001 never a program: Accept of %s', async (_name, accept) => {
    const reply = await open({ ask: { headers: { accept } } })
    expect([reply.status, reply.header('content-type')]).toEqual([402, 'application/problem+json'])
    expect(reply.problem.challengeId).toBe(reply.challenges[0]!.id)
  })

  test.each([
    ['no Accept at all', {}],
    ['a payment that is malformed', { ...browser, authorization: 'Payment eyJ' }],
    ['a token', { ...browser, authorization: 'Bearer abc' }],
    ['a password', { ...browser, authorization: 'Basic YTpi' }],
    ['the other header', { ...browser, 'payment-authorization': 'Bearer abc' }],
    ['Accept-Payment', { ...browser, 'accept-payment': 'toy/charge' }],
  ])('CORE-001 never a program: %s', async (_name, headers) => {
    const reply = await open({ ask: { headers: headers as Record<string, string> } })
    expect([reply.status, reply.header('content-type')]).toEqual([402, 'application/problem+json'])
  })

  test.each(['POST', 'PUT', 'PATCH', 'DELETE'])('never who sends %s', async (method) => {
    expect(isPage(await open({ ask: { method, headers: browser } }))).toBe(false)
  })

  test('HEAD shows the header fields of GET', async () => {
    const names = ({ headers }: Reply): string[] =>
      headers.map(([name, value]) => (name === 'www-authenticate' ? name : `${name}: ${value}`))
    expect(names(await open({ ask: { method: 'HEAD', headers: browser } }))).toEqual(names(await open()))
  })

  test('a used credential is answered as ever', async () => {
    const shop = seller({ page: true })
    await shop.fund()
    const gate = shop.charge({ amount: '1.00' })
    const ask = await buy(shop, gate, { headers: browser })
    const paid = await drive(gate, ask)
    expect([paid.status, paid.header('vary'), paid.receipt?.status]).toEqual([200, undefined, 'success'])
    const again = await drive(gate, ask)
    expect([again.status, isPage(again), again.problem.type]).toEqual([
      402,
      false,
      expect.stringMatching(/invalid-challenge/),
    ])
    shop.close()
  })
})

describe('whether there is a page', () => {
  const cases: [all: SellerOptions['page'], own: Price['page'], expected: boolean][] = [
    [undefined, undefined, false],
    [false, undefined, false],
    [true, undefined, true],
    [{ title: 'Photos' }, undefined, true],
    [undefined, true, true],
    [undefined, { title: 'Photos' }, true],
    [false, true, true],
    [true, false, false],
    [{ title: 'Photos' }, false, false],
  ]
  test.each(cases)('createMpp says %j, the price %j: %s', async (all, own, expected) => {
    const said = { ...(own !== undefined && { page: own }) }
    const options = { ...(all !== undefined && { page: all }) }
    const shop = seller(options)
    const gate = shop.charge({ amount: '1.00', ...said })
    const page = await drive(gate, { headers: browser })
    expect(isPage(page)).toBe(expected)
    // A cache must know that the answer depends on it, also where it was not the page.
    const program = await drive(gate, { headers: { accept: '*/*' } })
    for (const reply of [page, program]) expect(reply.header('vary')).toBe(expected ? 'Accept' : undefined)
    shop.close()
  })

  test("a price's own words stand before those of the server", async () => {
    const page = { title: 'All photos', text: 'By the piece' }
    const { body } = await open({ options: { page }, price: { page: { title: 'This photo' } } })
    expect(body).toContain('<h1><bdi>This photo</bdi></h1>\n<p>By the piece</p>')
  })

  const wrong: [string, unknown, RegExp][] = [
    ['a text', 'yes', /true, false or an object/],
    ['null', null, /true, false or an object/],
    ['a list', [], /true, false or an object/],
    ['an unknown member', { heading: 'a' }, /no "heading"; it knows title, text and link/],
    ['a title that is no text', { title: 1 }, /page\.title must be a string/],
    ['a link that runs', { link: 'javascript:alert(1)' }, /absolute URL/],
    ['a link without a scheme', { link: '/pricing' }, /absolute URL/],
    ['a link without an end', { link: `https://a.example/${'x'.repeat(300)}` }, /250/],
  ]
  test.each(wrong)('%s is a TypeError that names the remedy', (_name, page, message) => {
    const good = { realm: 'a', secret: 's'.repeat(32) }
    expect(() => seller({ ...good, page } as Partial<MppOptions>)).toThrow(message)
    const shop = seller()
    expect(() => shop.charge({ amount: '1', page: page as Page })).toThrow(message)
    shop.close()
  })
})

describe('what it is', () => {
  test('CORE-001 the same 402: what programs get, with the same challenges, and it can be paid', async () => {
    const shop = seller({ page: true })
    await shop.fund()
    const gate = shop.charge({ amount: '1.00' })
    const page = await drive(gate, { headers: browser })
    const problem = await drive(gate)
    const terms = ({ challenges }: Reply): unknown =>
      challenges.map(({ realm, method, intent, request }) => ({ realm, method, intent, request }))
    expect(terms(page)).toEqual(terms(problem))
    for (const name of ['cache-control', 'access-control-expose-headers', 'vary'])
      expect([name, page.header(name)]).toEqual([name, problem.header(name)])
    expect(page.header('cache-control')).toBe('no-store')
    const authorization = await shop.wallet.pay(page.challenges[0]!)
    // Paid by a program, so its own Accept does not matter.
    expect((await drive(gate, { headers: { authorization } })).status).toBe(200)
    shop.close()
  })

  test('shows nothing but itself: a policy without scripts, with the hash of its one style', async () => {
    const { body, header } = await open()
    const [, style = ''] = /<style>(.*?)<\/style>/s.exec(body)!
    const hash = createHash('sha256').update(style).digest('base64')
    expect(header('content-security-policy')).toBe(
      `default-src 'none'; style-src 'sha256-${hash}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    )
    expect(header('x-content-type-options')).toBe('nosniff')
    expect(header('referrer-policy')).toBe('no-referrer')
    expect(body).not.toMatch(/<script|<form|<iframe|<img|style="| on\w+=|@import|url\(/)
  })

  test('says what is asked, for what, where, until when, and how to pay', async () => {
    const { body, challenges } = await open({
      options: { origin: 'https://photos.example', store: counting(memoryStore()) },
      price: {
        description: 'A photo',
        externalId: 'o-1',
        page: { text: 'By the piece', link: 'https://photos.example/pricing?a=1&b=2' },
      },
      ask: { target: '/photos/7?size=big&x=y', headers: browser },
    })
    expect(body).toContain('<title>A photo</title>')
    expect(body).toContain('<dt>Price</dt><dd class="price"><bdi>1.00 USD</bdi></dd>')
    expect(body).toContain('<dt>At</dt><dd><bdi>api.example.com</bdi></dd>')
    expect(body).toContain('<dt>Reference</dt><dd><bdi>o-1</bdi></dd>')
    expect(body).toContain(`<dt>This offer holds until</dt><dd><bdi>${challenges[0]!.expires!}</bdi></dd>`)
    expect(body).toContain('curl -i &#39;https://photos.example/photos/7?size=big&amp;x=y&#39;')
    expect(body).toContain('<a href="https://paymentauth.org">')
    expect(body).toContain('<a href="https://photos.example/pricing?a=1&amp;b=2">')
  })

  test('names every rail, and tokens by their address', async () => {
    const ledger = createToyLedger()
    const coin = toyMethod({ ledger, name: 'coin', recipient: 'till' })
    const token = `0x${'20c0'.repeat(10)}`
    const chain = {
      ...coin,
      name: 'chain',
      quote: (price: never) => ({ ...coin.quote(price), currency: token }),
    }
    const { body } = await open({ options: { more: [coin, chain] } })
    expect(body.match(/Price by \w+<\/dt><dd class="price"><bdi>[^<]+/g)).toEqual([
      'Price by toy</dt><dd class="price"><bdi>1.00 USD',
      'Price by coin</dt><dd class="price"><bdi>1.00 USD',
      `Price by chain</dt><dd class="price"><bdi>1.00 of ${token}`,
    ])
  })

  test('shows the price of this very request, and a proof of identity for what it is', async () => {
    const amount: Price['amount'] = ({ target }) => (target === '/me' ? '0' : '7.25')
    const dear = await open({ price: { amount }, ask: { target: '/photo', headers: browser } })
    expect(dear.body).toContain('<bdi>7.25 USD</bdi>')
    expect(decodeRequest(dear.challenges[0]!.request)['amount']).toBe('725')
    const own = await open({ price: { amount }, ask: { target: '/me', headers: browser } })
    expect(own.body).toContain('<bdi>nothing but a proof of identity</bdi>')
  })

  test('on loopback the address is that of the Host; what could be anything is not repeated', async () => {
    const told = async (host: string): Promise<boolean> =>
      (await open({ ask: { headers: { ...browser, host } } })).body.includes('curl -i')
    for (const host of ['localhost:3000', '127.0.0.1:3000', '[::1]:3000'])
      expect([host, await told(host)]).toEqual([host, true])
    for (const host of ['evil.example', 'localhost:3000/x', 'localhost.evil.example', ''])
      expect([host, await told(host)]).toEqual([host, false])
    expect(
      (await open({ ask: { target: `/${'x'.repeat(400)}`, headers: { ...browser, host: 'localhost' } } }))
        .body,
    ).not.toContain('npx')
  })
})

const HOSTILE = `"'><script>alert(1)</script><img src=x onerror=alert(1)></title></style><!--&lt;&#x3c;\u0000\u202e`
const tagsOf = (body: string): string[] => body.match(/<[a-z!/][^>]*>/gi) ?? []
/** Tags without the values of attributes. */
const shape = (body: string): string[] => tagsOf(body).map((tag) => tag.replace(/="[^"]*"/g, ''))

describe('what others have written stays text', () => {
  const realm = `x"'><script>alert(1)</script><img src=x onerror=alert(1)>`
  const places: [string, Opened, Opened][] = [
    ['description', { price: { description: HOSTILE } }, { price: { description: 'plain' } }],
    [
      'description beside a title',
      { price: { description: HOSTILE, page: { title: 'a' } } },
      { price: { description: 'plain', page: { title: 'a' } } },
    ],
    ['externalId', { price: { externalId: HOSTILE } }, { price: { externalId: 'plain' } }],
    ['realm', { options: { realm } }, { options: { realm: 'plain' } }],
    ['title', { price: { page: { title: HOSTILE } } }, { price: { page: { title: 'plain' } } }],
    ['text', { price: { page: { text: `${HOSTILE}\ud800` } } }, { price: { page: { text: 'plain' } } }],
    [
      'link',
      { price: { page: { link: `https://a.example/"'><script>` } } },
      { price: { page: { link: 'https://a.example/' } } },
    ],
    [
      'target',
      {
        ask: {
          target: `/a?"'><script>alert(1)</script>&x=$(touch%20/x)`.replaceAll(' ', ''),
          headers: { ...browser, host: 'localhost' },
        },
      },
      { ask: { target: '/a', headers: { ...browser, host: 'localhost' } } },
    ],
    [
      'Host',
      { ask: { headers: { ...browser, host: `localhost"'><script>alert(1)</script>` } } },
      { ask: { headers: { ...browser, host: 'unknown' } } },
    ],
  ]
  test.each(places)('in the %s', async (_name, hostile, plain) => {
    const page = await open(hostile)
    expect(isPage(page)).toBe(true)
    const tags = shape(page.body)
    expect(tags.length).toBeGreaterThan(20)
    expect(tags).toEqual(shape((await open(plain)).body))
    expect(page.body).not.toMatch(/<script|<img/)
    expect(page.body).not.toContain('\u0000')
    // Neither has it lost anything on the wire.
    expect(Buffer.from(page.body).toString()).toBe(page.body)
  })

  test('in the currency of a rail', async () => {
    const toy = toyMethod({ ledger: createToyLedger(), name: 'odd', recipient: 'shop' })
    const odd = { ...toy, quote: (price: never) => ({ ...toy.quote(price), currency: HOSTILE }) }
    const { body } = await open({ options: { more: [odd] } })
    expect(body).not.toMatch(/<script|<img/)
  })

  test('in a shell: what is to be pasted is one word, and runs nothing', async () => {
    const target = `/a?x='$(id)'\`id\`;id|id&id>x<y!z\\"{}^*é`
    const { body } = await open({ ask: { target, headers: { ...browser, host: 'localhost' } } })
    const [, shown = ''] = /<pre><code>(.*?)<\/code>/.exec(body)!
    const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }
    const command = shown.replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => entities[name]!)
    const { stdout } = spawnSync('sh', ['-c', `curl() { printf '[%s]' "$@"; }; ${command}`], {
      encoding: 'utf8',
    })
    const [first, url = '', ...rest] = stdout.slice(1, -1).split('][')
    expect([first, rest]).toEqual(['-i', []])
    // The address that it is: a server reads the same characters.
    expect(decodeURIComponent(url)).toBe(`http://localhost${target}`)
  })
})

test('is never larger than 10 KB', async () => {
  const ledger = createToyLedger()
  const long = (sign: string): string => sign.repeat(5_000)
  for (const sign of ['"', 'é', '漢', '😀', '<', 'x']) {
    const more = Array.from({ length: 20 }, (_, index) => {
      const rail = toyMethod({
        ledger,
        name: `rail${'abcdefghijklmnopqrstuvwxyz'[index]!.repeat(60)}`,
        recipient: 'shop',
      })
      return { ...rail, quote: (price: never) => ({ ...rail.quote(price), currency: long('"') }) }
    })
    const page = { title: long(sign), text: long(sign), link: `https://a.example/${'"'.repeat(200)}` }
    const reply = await open({
      options: { more, realm: '"'.repeat(200) },
      price: { page, description: long(sign), externalId: long(sign) },
      ask: { target: `/${'&'.repeat(270)}`, headers: { ...browser, host: 'localhost' } },
    })
    const size = Buffer.byteLength(reply.body)
    expect([sign, isPage(reply), size > 3_000, size <= 10_240]).toEqual([sign, true, true, true])
    expect(reply.body.endsWith('</html>\n')).toBe(true)
  }
  expect(Buffer.byteLength((await open()).body)).toBeLessThan(2_048)
})
