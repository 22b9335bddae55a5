import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { judge, playMoney, questions, subjectOf, type Verdict } from '@mppkit/testing/conform'
import { createToyLedger, toyMethod, toyWallet } from '@mppkit/testing/toy'
import { createMpp } from '@mppkit/express'
import express, { type Response } from 'express'
import { afterEach, expect, test } from 'vitest'

let server: Server
afterEach(() => {
  server.close()
  server.closeAllConnections()
})

const asked = ['targets-guarded', 'methods-guarded'] as const
const PAGE = '<h1>an app that routes in the browser</h1>'

/** Asks a shop that sells `sold` at /photo and answers everything else with `rest`. */
async function ask(sold: string, rest: () => string, pays: boolean): Promise<Verdict['outcome'][]> {
  const ledger = createToyLedger()
  await ledger.fund('alice', 1000n)
  const mpp = createMpp({
    realm: 'app.example',
    secret: 'a-secret-of-at-least-thirty-two-bytes!!',
    methods: [toyMethod({ ledger, recipient: 'shop' })],
  })
  const send = (response: Response, text: string): void => void response.type('html').send(text)
  const app = express()
  app.get('/photo', mpp.charge({ amount: '0.10' }), (_request, response) => send(response, sold))
  app.use((_request, response) => send(response, rest()))
  server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const subject = subjectOf({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/photo`,
    ...(pays && { pay: playMoney(toyWallet({ ledger, account: 'alice' })) }),
  })
  const verdicts = []
  for (const id of asked)
    verdicts.push(
      await judge(
        questions.find((one) => one.id === id)!,
        subject,
      ),
    )
  mpp.close()
  return verdicts.map(({ outcome }) => outcome)
}

test('CORE-001 a page that is served whatever is asked for is no way around the price', async () => {
  expect(await ask('the photo', () => PAGE, true)).toEqual(['passed', 'passed'])
})

test('CORE-001 but nobody can tell without a payment', async () => {
  expect(await ask('the photo', () => PAGE, false)).toEqual(['skipped', 'skipped'])
})

test('CORE-001 and it is one if that page is what is sold, or if it differs', async () => {
  expect(await ask(PAGE, () => PAGE, true)).toEqual(['failed', 'failed'])
  expect(await ask('the photo', () => String(Math.random()), true)).toEqual(['failed', 'failed'])
})

test.each([
  [[], ['DELETE', 'PATCH', 'POST', 'PUT']],
  [[['Content-Type', 'text/plain']], ['DELETE', 'PATCH', 'POST', 'PUT']],
  [[['X-Api-Key', 'owner']], []],
] as [[string, string][], string[]][])(
  'with the login %j, methods that change something: %j',
  async (headers, sent) => {
    const seen = new Set<string>()
    server = createServer(({ method = '' }, response) => {
      seen.add(method)
      response.writeHead(402).end()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const subject = subjectOf({
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/photo`,
      headers,
    })
    const verdict = await judge(
      questions.find(({ id }) => id === 'methods-guarded')!,
      subject,
    )
    expect(verdict).toMatchObject({ outcome: 'passed' })
    expect(verdict.detail ?? '').toBe(
      sent.length > 0 ? '' : 'not asked with your headers: POST, PUT, PATCH, DELETE',
    )
    expect(['DELETE', 'PATCH', 'POST', 'PUT'].filter((method) => seen.has(method))).toEqual(sent)
  },
)
