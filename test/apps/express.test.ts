import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { receiptOf } from '@mppkit/client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { start } from '../../apps/express/main.ts'
import type { App } from '../../apps/lib/run.ts'
import { askedOf, buyerOf, insist, pay, posted } from './lib/buyer.ts'
import { APPS } from './lib/apps.ts'
import { testConform } from './lib/conform.ts'

const letter = { to: 'Ada', country: 'CH', text: 'Hi!', pages: 2, colour: false }
const folder = mkdtempSync(join(tmpdir(), 'letters-'))
const db = join(folder, 'letters.db')

let app: App
let outbox: DatabaseSync
let before: number
const letters = (): number => Number(outbox.prepare('SELECT count(*) AS n FROM outbox').get()!['n']) - before
const earned = async (): Promise<number> => Number(await app.rail.earned('shop'))

beforeAll(async () => {
  app = await start({ db })
  outbox = new DatabaseSync(db)
})
beforeEach(() => {
  before = 0
  before = letters()
})
afterAll(async () => {
  await app.close()
  outbox.close()
  rmSync(folder, { recursive: true })
})

describe('letters on Express', () => {
  testConform(() => app, APPS.express)

  test.each([
    ['two pages to Switzerland', {}, '140'],
    ['in colour', { colour: true }, '190'],
    ['twenty pages to Germany', { country: 'DE', pages: 20 }, '395'],
  ])('%s: the price follows from the body', async (_name, change, amount) => {
    const response = await fetch(`${app.url}/letters`, posted({ ...letter, ...change }))
    expect([response.status, askedOf(response)]).toMatchObject([402, { amount, recipient: 'shop' }])
    expect(letters()).toBe(0)
  })

  test.each([
    ['no JSON', '{', 'the body must be JSON'],
    ['not an object', 'null', 'to: whom'],
    ['no addressee', JSON.stringify({ ...letter, to: '' }), 'to: whom'],
    ['no text', JSON.stringify({ ...letter, text: 7 }), 'text: '],
    ['a country that is not served', JSON.stringify({ ...letter, country: 'XX' }), 'country: '],
    ['a country that objects inherit', JSON.stringify({ ...letter, country: 'constructor' }), 'country: '],
    ['no pages', JSON.stringify({ ...letter, pages: 0 }), 'pages: '],
    ['half a page', JSON.stringify({ ...letter, pages: 1.5 }), 'pages: '],
    ['a colour', JSON.stringify({ ...letter, colour: 'red' }), 'colour: '],
  ])('%s is 422, and nobody is asked for money', async (_name, body, detail) => {
    const response = await fetch(`${app.url}/letters`, { ...posted({}), body })
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([422, null])
    expect(((await response.json()) as { detail: string }).detail).toContain(detail)
  })

  test('a letter is paid, posted, and can be looked up', async () => {
    const had = await earned()
    const response = await buyerOf(app).fetch(`${app.url}/letters`, posted(letter))
    const { id } = (await response.json()) as { id: string }
    expect([response.status, receiptOf(response)]).toMatchObject([201, { status: 'success', quote: id }])
    expect([letters(), (await earned()) - had]).toEqual([1, expect.closeTo(1.4)])
    const seen = await fetch(app.url + response.headers.get('location')!)
    expect([seen.status, await seen.json()]).toMatchObject([200, { id, recipient: 'Ada' }])
    expect((await fetch(`${app.url}/letters/another`)).status).toBe(404)
  })

  test('the same Idempotency-Key twice is one letter, one payment, and the same answer', async () => {
    const had = await earned()
    const order = posted(letter, { 'idempotency-key': 'order-1' })
    const headers = await pay(`${app.url}/letters`, order)
    const answers = await Promise.all(
      [1, 2, 3].map(() => insist(() => fetch(`${app.url}/letters`, { ...order, headers }))),
    )
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201])
    const bodies = await Promise.all(answers.map((answer) => answer.text()))
    expect(new Set(bodies).size).toBe(1)
    expect([letters(), (await earned()) - had]).toEqual([1, expect.closeTo(1.4)])
    // A buyer that forgets what it has paid, and pays again under the same key, is refused: no money moves.
    const again = await buyerOf(app).fetch(`${app.url}/letters`, order)
    expect(again.ok).toBe(false)
    expect([letters(), (await earned()) - had]).toEqual([1, expect.closeTo(1.4)])
    const next = await buyerOf(app).fetch(
      `${app.url}/letters`,
      posted(letter, { 'idempotency-key': 'order-2' }),
    )
    expect([next.status, letters()]).toEqual([201, 2])
  })

  test('a buyer who leaves while it is printed comes again, and one letter is posted', async () => {
    const had = await earned()
    const order = posted({ ...letter, pages: 20 })
    const headers = await pay(`${app.url}/letters`, order)
    const leave = new AbortController()
    const first = fetch(`${app.url}/letters`, { ...order, headers, signal: leave.signal })
    first.catch(() => {})
    while (letters() === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    leave.abort()
    await expect(first).rejects.toThrow('aborted')
    const second = await insist(() => fetch(`${app.url}/letters`, { ...order, headers }))
    expect([second.status, letters(), (await earned()) - had]).toEqual([201, 1, expect.closeTo(4.1)])
    expect((await insist(() => fetch(`${app.url}/letters`, { ...order, headers }))).status).toBe(402)
  })

  test('what was paid for two pages does not post twenty', async () => {
    const headers = await pay(`${app.url}/letters`, posted(letter))
    const swapped = await fetch(`${app.url}/letters`, { ...posted({ ...letter, pages: 20 }), headers })
    expect([swapped.status, letters()]).toEqual([402, 0])
    expect((await fetch(`${app.url}/letters`, { ...posted(letter), headers })).status).toBe(201)
  })

  test('a seller that is ended first finishes what is paid; its successor remembers', async () => {
    const order = posted({ ...letter, pages: 20 }, { 'idempotency-key': 'last order' })
    const headers = await pay(`${app.url}/letters`, order)
    const answer = fetch(`${app.url}/letters`, { ...order, headers })
    while (letters() === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    await app.close()
    expect((await answer).status).toBe(201)
    // Where the last one stood: a price that is worked out is bound to its host.
    app = await start({ db, port: Number(new URL(app.url).port) })
    const again = await fetch(`${app.url}/letters`, { ...order, headers })
    expect([again.status, await again.text(), letters()]).toEqual([201, await (await answer).text(), 1])
    // Without the key there is no answer kept for it; the credential is spent all the same.
    headers.delete('idempotency-key')
    const spent = await fetch(`${app.url}/letters`, { ...order, headers })
    expect([spent.status, letters()]).toEqual([402, 1])
  })
})
