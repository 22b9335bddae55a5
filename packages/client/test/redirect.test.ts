import { describe, expect, test } from 'vitest'
import { paymentOf, reasonFor, receiptOf } from '../src/index.ts'
import { ask, buyer, challenge, honest, serve } from './seller.ts'

describe('before paying', () => {
  test('within the origin: the URL that asked is paid', async () => {
    const seller = await serve((seen, response, self) =>
      seen.url === '/photo'
        ? void response.writeHead(302, { Location: '/real?x=1' }).end()
        : honest()(seen, response, self),
    )
    expect((await buyer().fetch(seller.url)).status).toBe(200)
    expect(seller.seen.map((seen) => [seen.url, !!seen.credential])).toEqual([
      ['/photo', false],
      ['/real?x=1', false],
      ['/real?x=1', true],
    ])
  })

  test('C29: another origin is paid only if origins lists it, and gets no login', async () => {
    const other = await serve(honest({ header: 'Payment-Authorization' }), 'payment-authorization')
    const seller = await serve((_, response) => void response.writeHead(302, { Location: other.url }).end())
    const init = { headers: { Authorization: 'Bearer me', Cookie: 'a=b' } }
    const refused = await buyer().fetch(seller.url, init)
    expect([refused.status, reasonFor(refused)?.code]).toEqual([402, 'redirected'])
    expect(reasonFor(await buyer({ origins: [seller.origin] }).fetch(seller.url, init))?.code).toBe(
      'redirected',
    )
    const { fetch, events } = buyer({ origins: [other.origin] })
    expect((await fetch(seller.url, init)).status).toBe(200)
    const { headers } = other.seen.at(-1)!
    expect([headers.authorization, headers.cookie]).toEqual([undefined, undefined])
    expect(events).toMatchObject([{ type: 'paid', origin: other.origin }])
    expect(seller.seen.every((seen) => !seen.headers['payment-authorization'])).toBe(true)
  })

  test('a redirected POST is not paid: nobody knows what it became', async () => {
    for (const status of [303, 307]) {
      const seller = await serve((seen, response, self) =>
        seen.url === '/photo'
          ? void response.writeHead(status, { Location: '/real' }).end()
          : honest()(seen, response, self),
      )
      const response = await buyer().fetch(seller.url, { method: 'POST', body: 'x' })
      expect([response.status, reasonFor(response)?.code]).toEqual([402, 'redirected'])
    }
  })

  test("redirect manual and error are the caller's", async () => {
    const seller = await serve((_, response) => void response.writeHead(302, { Location: '/real' }).end())
    expect((await buyer().fetch(seller.url, { redirect: 'manual' })).status).toBe(302)
    await expect(buyer().fetch(seller.url, { redirect: 'error' })).rejects.toThrow(TypeError)
  })
})

describe('C28 CORE-151: after paying', () => {
  const redirecting = (status: number, location: string) =>
    serve((seen, response, self) => {
      if (seen.url !== '/photo')
        return void response.writeHead(200, { 'X-Method': seen.method }).end(seen.body || 'end')
      if (!seen.credential) return ask(response, challenge())
      self.settled.push(seen.credential.challenge.id)
      response.writeHead(status, { Location: location }).end()
    })

  test.each([
    [301, 'POST', 'GET', ''],
    [302, 'POST', 'GET', ''],
    [303, 'POST', 'GET', ''],
    [303, 'PUT', 'GET', ''],
    [302, 'PUT', 'PUT', 'x'],
    [307, 'POST', 'POST', 'x'],
    [308, 'POST', 'POST', 'x'],
  ])(
    '%i of a %s within the origin goes on as %s, without the credential',
    async (status, method, next, body) => {
      const seller = await redirecting(status, '/made#part')
      const { fetch, events } = buyer()
      const response = await fetch(seller.url, { method, body: 'x', headers: { 'X-Mine': '1' } })
      expect(response.status).toBe(200)
      const last = seller.seen.at(-1)!
      expect([seller.seen.length, last.method, last.url, last.body]).toEqual([3, next, '/made', body])
      expect([last.headers.authorization, last.headers['idempotency-key'], last.headers['x-mine']]).toEqual([
        undefined,
        undefined,
        '1',
      ])
      expect(last.headers['content-type']).toBe(body ? 'text/plain;charset=UTF-8' : undefined)
      expect(events).toMatchObject([{ type: 'paid', status }])
      expect(paymentOf(response)).toBeDefined()
    },
  )

  test('to another origin: the 3xx is the delivery', async () => {
    const other = await serve((_, response) => void response.end())
    const seller = await redirecting(303, `${other.origin}/file`)
    const { fetch, events } = buyer()
    const response = await fetch(seller.url)
    expect([response.status, response.headers.get('location'), receiptOf(response)]).toEqual([
      303,
      `${other.origin}/file`,
      undefined,
    ])
    expect(events).toMatchObject([{ type: 'paid', status: 303 }])
    expect(other.seen).toEqual([])
  })

  test('redirect manual returns the 3xx; redirect error rejects, and the payment is not lost', async () => {
    const seller = await redirecting(303, '/made')
    expect((await buyer().fetch(seller.url, { redirect: 'manual' })).status).toBe(303)
    const error: unknown = await buyer()
      .fetch(seller.url, { redirect: 'error' })
      .catch((fault: unknown) => fault)
    expect(error).toMatchObject({ cause: { message: expect.stringContaining('redirect') } })
    expect(paymentOf(error)).toBeDefined()
    expect(seller.settled).toHaveLength(2)
  })

  test('a 402 behind the redirect is not paid', async () => {
    const seller = await serve((seen, response) => {
      if (seen.url !== '/photo' || !seen.credential) return ask(response, challenge())
      response.writeHead(303, { Location: '/more' }).end()
    })
    const { fetch, method } = buyer()
    const response = await fetch(seller.url)
    expect([response.status, reasonFor(response)?.code, method.prepared.length]).toEqual([402, 'rejected', 1])
  })

  test('a loop ends', async () => {
    const seller = await redirecting(303, '/photo')
    const { fetch, method } = buyer()
    expect((await fetch(seller.url)).status).toBe(402)
    expect(method.prepared).toHaveLength(1)
    const circle = await serve((seen, response) =>
      seen.url === '/photo' && !seen.credential
        ? ask(response, challenge())
        : void response.writeHead(302, { Location: '/a' }).end(),
    )
    expect((await buyer().fetch(circle.url)).status).toBe(302)
    expect(circle.seen).toHaveLength(22)
  })

  test('an opaque redirect of a browser is returned', async () => {
    const seller = challenge()
    const opaque = Object.defineProperties(new Response(null), {
      type: { value: 'opaqueredirect' },
      status: { value: 0 },
    })
    const { formatChallenge } = await import('@mppkit/core')
    let calls = 0
    const fake = async () =>
      calls++
        ? opaque
        : new Response(null, { status: 402, headers: { 'WWW-Authenticate': formatChallenge(seller) } })
    expect(await buyer({}, { fetch: fake as typeof fetch }).fetch('https://shop.example/')).toBe(opaque)
    expect(calls).toBe(2)
  })
})
