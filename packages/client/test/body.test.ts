import { computeDigest } from '@mppkit/core'
import { expect, test } from 'vitest'
import { reasonFor } from '../src/index.ts'
import { ask, buyer, challenge, deliver, serve } from './seller.ts'

/** Binds the body that it saw, and delivers only for the same one. */
const binding = () =>
  serve(async (seen, response) => {
    const digest = await computeDigest(Buffer.from(seen.body, 'latin1'))
    if (!seen.credential) return ask(response, challenge({ digest }))
    if (seen.credential.challenge.digest === digest) deliver(response, seen)
    else response.writeHead(400).end()
  })

const streamOf = (size: number) => {
  let left = size
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (left <= 0) return controller.close()
      controller.enqueue(new Uint8Array(Math.min(left, 1000)).fill(65))
      left -= 1000
    },
  })
}

const form = () => {
  const data = new FormData()
  data.set('a', '1')
  data.set('file', new Blob(['bytes'], { type: 'image/png' }), 'x.png')
  return data
}

test.each([
  ['string', () => 'plain ü', /^text\/plain;charset=UTF-8$/],
  ['empty string', () => '', /^text\/plain;charset=UTF-8$/],
  [
    'URLSearchParams',
    () => new URLSearchParams({ a: '1' }),
    /^application\/x-www-form-urlencoded;charset=UTF-8$/,
  ],
  ['Uint8Array', () => new Uint8Array([0, 255, 1]), /^undefined$/],
  ['ArrayBuffer', () => new Uint8Array([0, 255, 1]).buffer, /^undefined$/],
  ['Blob', () => new Blob(['x'], { type: 'a/b' }), /^a\/b$/],
  ['FormData', form, /^multipart\/form-data; boundary=/],
  ['ReadableStream', () => streamOf(5000), /^undefined$/],
  ['large string', () => 'x'.repeat(3_000_000), /^text\/plain;charset=UTF-8$/],
])('CORE-048: %s is sent again byte for byte', async (_, body, type) => {
  const seller = await binding()
  const response = await buyer().fetch(seller.url, {
    method: 'POST',
    body: body(),
    duplex: 'half',
  } as RequestInit)
  expect(response.status).toBe(200)
  const [first, second] = seller.seen
  expect(second!.body === first!.body).toBe(true)
  expect(second!.headers['content-type']).toBe(first!.headers['content-type'])
  expect(String(first!.headers['content-type'])).toMatch(type)
})

test('the body of a Request is held too', async () => {
  const seller = await binding()
  const response = await buyer().fetch(new Request(seller.url, { method: 'POST', body: form() }))
  expect(response.status).toBe(200)
})

test.each([
  ['stream', () => streamOf(20_000)],
  ['Blob', () => new Blob(['x'.repeat(20_000)])],
])('a %s above maxBody is sent once, whole, and not paid', async (_, body) => {
  const seller = await binding()
  const { fetch, method } = buyer({}, { maxBody: 10_000 })
  const response = await fetch(seller.url, { method: 'POST', body: body(), duplex: 'half' } as RequestInit)
  expect([response.status, reasonFor(response)?.code, await response.text()]).toEqual([
    402,
    'request',
    'pay first',
  ])
  expect([seller.seen.length, seller.seen[0]!.body.length, method.prepared.length]).toEqual([1, 20_000, 0])
})

test('a stream above maxBody reaches a free server', async () => {
  const seller = await serve((seen, response) => void response.end(String(seen.body.length)))
  const response = await buyer({}, { maxBody: 10 }).fetch(seller.url, {
    method: 'POST',
    body: streamOf(3000),
    duplex: 'half',
  } as RequestInit)
  expect(await response.text()).toBe('3000')
})

test('CORE-048: a digest that is not that of the body is not paid', async () => {
  const digest = await computeDigest(new TextEncoder().encode('other'))
  const seller = await serve((_, response) => ask(response, challenge({ digest })))
  for (const init of [{}, { method: 'POST', body: 'mine' }]) {
    const { fetch, method } = buyer()
    expect(reasonFor(await fetch(seller.url, init))?.code).toBe('digest')
    expect(method.prepared).toHaveLength(0)
  }
})

test('bytes that change after the call do not change the retry', async () => {
  const bytes = new Uint8Array([65, 65])
  const seller = await serve((seen, response) => {
    bytes.fill(66)
    if (seen.credential) deliver(response, seen)
    else ask(response, challenge())
  })
  await buyer().fetch(seller.url, { method: 'POST', body: bytes })
  expect(seller.seen.map((seen) => seen.body)).toEqual(['AA', 'AA'])
})

test('a HEAD is never paid', async () => {
  const seller = await serve((_, response) => ask(response, challenge()))
  const { fetch, method } = buyer()
  expect(reasonFor(await fetch(seller.url, { method: 'HEAD' }))?.code).toBe('request')
  expect(method.prepared).toHaveLength(0)
})
