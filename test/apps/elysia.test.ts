import { receiptOf } from '@mppkit/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { start } from '../../apps/elysia/main.ts'
import type { App } from '../../apps/lib/run.ts'
import { askedOf, buyerOf, insist, pay, posted } from './lib/buyer.ts'
import { APPS } from './lib/apps.ts'
import { testConform } from './lib/conform.ts'

interface Session {
  id: string
  key: string
  until: string
}

let app: App
beforeAll(async () => {
  app = await start()
})
afterAll(() => app.close())

const earned = async (): Promise<number> => Number(await app.rail.earned('shop'))

async function open(name: 'alice' | 'bob' = 'alice'): Promise<Session> {
  const response = await buyerOf(app, name).fetch(`${app.url}/sessions`, { method: 'POST' })
  expect([response.status, receiptOf(response)?.status]).toEqual([201, 'success'])
  return (await response.json()) as Session
}

describe('browser sessions on Elysia', () => {
  testConform(() => app, APPS.elysia)

  test('a session is paid for once, and says that its browser is simulated', async () => {
    const had = await earned()
    const session = await open()
    expect(session).toMatchObject({ simulated: true, key: expect.stringMatching(/^[0-9a-f]{32}$/) })
    expect((await earned()) - had).toBeCloseTo(0.25)
  })

  test('the owner proves who they are, and pays nothing', async () => {
    const session = await open()
    const had = await earned()
    const asked = askedOf(await fetch(`${app.url}/sessions/${session.id}`))
    expect(asked).toMatchObject({ amount: '0' })
    const response = await buyerOf(app).fetch(`${app.url}/sessions/${session.id}`)
    expect([response.status, await response.json()]).toEqual([200, session])
    expect(await earned()).toBe(had)
  })

  test('another who proves who they are gets 403, and so does who extends without the key: no money is asked for', async () => {
    const session = await open()
    const had = await earned()
    const seen = await buyerOf(app, 'bob').fetch(`${app.url}/sessions/${session.id}`)
    expect([seen.status, await seen.text()]).toEqual([403, expect.not.stringContaining(session.key)])
    for (const key of [undefined, 'wrong', (await open('bob')).key]) {
      const headers: Record<string, string> = key === undefined ? {} : { 'session-key': key }
      const extended = await fetch(`${app.url}/sessions/${session.id}/extend`, { method: 'POST', headers })
      expect([extended.status, extended.headers.get('www-authenticate')]).toEqual([403, null])
    }
    expect((await earned()) - had).toBeCloseTo(0.25)
  })

  test('what does not exist is 404 before anything is asked for', async () => {
    const headers = { 'session-key': 'x' }
    for (const [path, method] of [
      ['/sessions/none', 'GET'],
      ['/sessions/none/extend', 'POST'],
    ] as const) {
      const response = await fetch(app.url + path, { method, headers })
      expect([path, response.status, response.headers.get('www-authenticate')]).toEqual([path, 404, null])
    }
  })

  test('a payment extends once, however often it is sent', async () => {
    const { id, key, until } = await open()
    const had = await earned()
    const call = { method: 'POST', headers: { 'session-key': key, 'idempotency-key': 'more' } }
    const url = `${app.url}/sessions/${id}/extend`
    const headers = await pay(url, call)
    for (let times = 0; times < 2; times++) {
      const response = await insist(() => fetch(url, { ...call, headers }))
      expect(response.status).toBe(200)
      const extended = (await response.json()) as Session
      expect(Date.parse(extended.until) - Date.parse(until)).toBe(600_000)
    }
    expect((await earned()) - had).toBeCloseTo(0.1)
  })

  test('a buyer who leaves before the answer comes again, and it is extended once', async () => {
    const { id, key, until } = await open()
    const call = { method: 'POST', headers: { 'session-key': key } }
    const url = `${app.url}/sessions/${id}/extend`
    const headers = await pay(url, call)
    const leave = new AbortController()
    const first = fetch(url, { ...call, headers, signal: leave.signal })
    first.catch(() => {})
    const seen = async (): Promise<string> =>
      ((await (await buyerOf(app).fetch(`${app.url}/sessions/${id}`)).json()) as Session).until
    while ((await seen()) === until) await new Promise((resolve) => setTimeout(resolve, 5))
    leave.abort()
    await expect(first).rejects.toThrow('aborted')
    const second = await insist(() => fetch(url, { ...call, headers }))
    expect(second.status).toBe(200)
    expect(Date.parse(await seen()) - Date.parse(until)).toBe(600_000)
  })

  test('what was paid with one key does not pass with another', async () => {
    const { id, key } = await open()
    const url = `${app.url}/sessions/${id}/extend`
    const headers = await pay(url, { method: 'POST', headers: { 'session-key': key } })
    headers.set('session-key', 'another')
    const had = await earned()
    expect((await fetch(url, { method: 'POST', headers })).status).toBe(403)
    expect(await earned()).toBe(had)
  })

  test('a proof for one session is none for another', async () => {
    const [mine, other] = [await open(), await open()]
    const headers = await pay(`${app.url}/sessions/${mine.id}`)
    expect((await fetch(`${app.url}/sessions/${other.id}`, { headers })).status).toBe(402)
    expect((await fetch(`${app.url}/sessions/${mine.id}`, { headers })).status).toBe(200)
  })

  test('the same order twice opens one session', async () => {
    const order = posted({}, { 'idempotency-key': 'open once' })
    const headers = await pay(`${app.url}/sessions`, order)
    const had = await earned()
    const answers = await Promise.all(
      [1, 2].map(async () =>
        (await insist(() => fetch(`${app.url}/sessions`, { ...order, headers }))).json(),
      ),
    )
    expect(answers[0]).toEqual(answers[1])
    expect((await earned()) - had).toBeCloseTo(0.25)
  })
})
