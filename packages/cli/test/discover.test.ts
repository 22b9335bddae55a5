import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createMpp } from '@mppkit/express'
import express from 'express'
import { afterEach, describe, expect, test } from 'vitest'
import type { Verdict } from '@mppkit/testing/conform'
import { apiOf, guardsOf, sellerOptions } from '../../server/test/lib/discovery.ts'
import { told } from './told.ts'

let server: Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

const offer = { intent: 'charge', method: 'toy', amount: '100', currency: 'usd' }
const operation = { 'x-payment-info': { offers: [offer] }, responses: { 200: {}, 402: {} } }
const document = {
  openapi: '3.1.0',
  info: { title: 'Photos', version: '1' },
  'x-service-info': { categories: ['media'], docs: { homepage: 'https://photos.example/' } },
  paths: {
    '/photo': { get: operation },
    '/print': {
      post: {
        ...operation,
        requestBody: {},
        'x-payment-info': { offers: [{ ...offer, amount: null, description: 'by size' }] },
      },
    },
    '/free': { get: { responses: { 200: {} } } },
  },
}
const headers = {
  'content-type': 'application/json',
  'cache-control': 'max-age=300',
  'access-control-allow-origin': '*',
}

/** Serves a document, and a price at `/photo`. */
async function announce(
  value: unknown,
  changes: { headers?: object; status?: number; asked?: object } = {},
): Promise<string> {
  const request = Buffer.from(
    JSON.stringify({ amount: '100', currency: 'usd', recipient: 'shop', ...changes.asked }),
  ).toString('base64url')
  server = createServer((incoming, outgoing) => {
    if (incoming.url === '/openapi.json')
      return outgoing
        .writeHead(changes.status ?? 200, { ...headers, ...changes.headers })
        .end(typeof value === 'string' ? value : JSON.stringify(value))
    if (incoming.url !== '/photo') return outgoing.writeHead(200).end()
    return outgoing
      .writeHead(402, {
        'www-authenticate': `Payment id="1", realm="x", method="toy", intent="charge", request="${request}"`,
      })
      .end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function failed(origin: string, ...more: string[]): Promise<string[]> {
  const { out, err } = await told(['discover', origin, '--json', ...more])
  expect(err).toBe('')
  const { verdicts } = JSON.parse(out) as { verdicts: Verdict[] }
  return verdicts.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)
}

test('says what is sold, and for how much', async () => {
  const { code, out } = await told(['discover', await announce(document)])
  expect(code).toBe(0)
  expect(out).toContain('GET /photo: 100 usd by toy/charge')
  expect(out).toContain('POST /print: price on request by toy/charge (by size)')
  expect(out).not.toContain('/free')
  expect(out).toContain('0 failed, 0 warnings')
})

test('--probe compares with what is asked', async () => {
  expect(await failed(await announce(document), '--probe')).toEqual([])
  server?.close()
  expect(await failed(await announce(document, { asked: { amount: '900' } }), '--probe')).toEqual([
    '402 of GET /photo',
  ])
  server?.close()
  const silent = { ...document, paths: { '/photo': { get: { responses: { 200: {} } } } } }
  expect(await failed(await announce(silent), '--probe')).toEqual(['402 of GET /photo'])
})

describe('a document with one fault fails by exactly its own rule', () => {
  const priced = (info: unknown, more: object = {}): object => ({
    ...document,
    paths: { '/photo': { get: { ...operation, 'x-payment-info': info, ...more } } },
  })
  const broken: [rule: string, value: unknown, changes?: { headers?: object; status?: number }][] = [
    ['document-there', document, { status: 401 }],
    ['document-there', 'no JSON'],
    ['document-type', document, { headers: { 'content-type': 'text/yaml' } }],
    ['document-version', { ...document, openapi: '2.0' }],
    ['document-info', { ...document, info: { title: 'Photos' } }],
    ['document-paths', { ...document, paths: {} }],
    ['service-categories', { ...document, 'x-service-info': { categories: 'media' } }],
    ['service-category-names', { ...document, 'x-service-info': { categories: ['Media Things'] } }],
    ['service-docs', { ...document, 'x-service-info': { docs: { homepage: '/home' } } }],
    ['offers-schema', priced({ offers: [] })],
    ['offers-schema', priced({ offers: [{ ...offer, amount: '01' }] })],
    ['offers-schema', priced({ ...offer, offers: [offer] })],
    ['offers-schema', priced({ offers: [{ ...offer, recipient: 'shop' }] })],
    ['offers-listed', priced(offer)],
    ['responses-402', priced({ offers: [offer] }, { responses: { 200: {} } })],
    ['input-described', { ...document, paths: { '/print': { post: operation } } }],
    ['document-cached', document, { headers: { 'cache-control': 'no-cache' } }],
    ['document-size', { ...document, 'x-more': 'x'.repeat(70_000) }],
  ]
  for (const [index, [rule, value, changes]] of broken.entries())
    test(`${index + 1}: ${rule}`, async () => {
      expect(await failed(await announce(value, changes))).toEqual([rule])
    })

  test('document-cors', async () => {
    const origin = await announce(document)
    server!.prependListener('request', (_, outgoing) => {
      const { writeHead } = outgoing
      outgoing.writeHead = ((status: number) =>
        writeHead.call(outgoing, status, {
          'content-type': 'application/json',
          'cache-control': 'max-age=60',
        })) as never
    })
    expect(await failed(origin)).toEqual(['document-cors'])
  })
})

test('the document of mppkit itself has no fault, and its prices are what is asked', async () => {
  const mpp = createMpp(sellerOptions)
  const guards = guardsOf(mpp)
  const api = mpp.openapi(apiOf(guards))
  const app = express()
  app.get('/openapi.json', (_, response) => void response.set(api.headers).json(api.document))
  for (const name of ['told', 'withheld', 'identity', 'computed'] as const)
    app.get(`/${name}`, guards[name], (_, response) => void response.send('sold'))
  app.get('/page', guards.page, (_, response) => void response.send('sold'))
  app.get('/free', (_, response) => void response.send('pong'))
  server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { code, out } = await told(['discover', origin, '--probe', '--all'])
  mpp.close()
  expect(code).toBe(0)
  expect(out).toContain('0 failed, 0 warnings')
  expect(out).toContain('GET /computed: price on request')
  for (const name of ['told', 'withheld', 'identity', 'computed', 'page'])
    expect(out).toContain(`ok       402 of GET /${name}: `)
})

test('DISC-032 a price that depends on the request may ask for nothing when it is probed', async () => {
  const nothing = { ...operation, 'x-payment-info': { offers: [{ ...offer, amount: null }] } }
  const { code, out } = await told([
    'discover',
    await announce({ ...document, paths: { '/search': { get: nothing } } }),
    '--probe',
  ])
  expect(code).toBe(0)
  expect(out).toContain('it was answered 200: 402 of GET /search')
  const constant = await announce({ ...document, paths: { '/search': { get: operation } } })
  expect((await told(['discover', constant, '--probe'])).out).toContain('a price is announced')
})

test('DISC-005 a document that is elsewhere is not there', async () => {
  const location = `${await announce(document)}/openapi.json`
  const other = server!
  expect(await failed(await announce('', { status: 302, headers: { location } }))).toEqual(['document-there'])
  other.close()
})

test('a document sends nobody to another server', async () => {
  const asked: string[] = []
  const other = createServer((incoming, outgoing) => {
    asked.push(String(incoming.url))
    outgoing.end()
  }).listen(0, '127.0.0.1')
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  const origin = await announce({
    ...document,
    paths: { [`@127.0.0.1:${port}/inside`]: { get: operation }, ':99999/': { get: operation } },
  })
  const { err } = await told(['discover', origin, '--probe'])
  other.close()
  expect({ asked, err }).toEqual({ asked: [], err: '' })
})

test('a document that never ends is not read on', async () => {
  const { code, err } = await told(['discover', await announce(`"${'x'.repeat(2_000_000)}"`)])
  expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining('has more than 1048576 bytes') })
})
