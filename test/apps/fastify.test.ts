import { receiptOf } from '@mppkit/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { start } from '../../apps/fastify/main.ts'
import type { App } from '../../apps/lib/run.ts'
import { askedOf, buyerOf, insist, pay, posted } from './lib/buyer.ts'
import { APPS } from './lib/apps.ts'
import { testConform } from './lib/conform.ts'

const prompt = posted({ prompt: 'Who are you?', tokens: 40 })

let app: App
beforeAll(async () => {
  app = await start()
})
afterAll(() => app.close())

const earned = async (): Promise<number> => Number(await app.rail.earned('shop'))

describe('a token stream on Fastify', () => {
  testConform(() => app, APPS.fastify)

  test('each call has its price, and its words are always the same', async () => {
    const had = await earned()
    const unpaid = await fetch(`${app.url}/generate`, prompt)
    expect([unpaid.status, askedOf(unpaid)]).toMatchObject([402, { amount: '5' }])
    const texts = []
    for (let times = 0; times < 2; times++) {
      const response = await buyerOf(app).fetch(`${app.url}/generate`, prompt)
      expect([response.status, response.headers.get('content-type'), receiptOf(response)?.status]).toEqual([
        200,
        'text/event-stream',
        'success',
      ])
      texts.push(await response.text())
    }
    expect(texts[0]!.match(/^data: /gm)).toHaveLength(41)
    expect(texts[0]).toBe(texts[1])
    expect((await earned()) - had).toBeCloseTo(0.1)
  })

  test('the first word is there long before the last, one after the other', async () => {
    const response = await buyerOf(app).fetch(`${app.url}/generate`, prompt)
    const times: number[] = []
    for await (const _ of response.body!) times.push(performance.now())
    // 40 words, 15 ms apart.
    expect(times.length).toBeGreaterThan(10)
    expect(times.at(-1)! - times[0]!).toBeGreaterThan(300)
  })

  test('a connection that is cut is no loss: the same credential gets all the words, once', async () => {
    const had = await earned()
    const headers = await pay(`${app.url}/generate`, prompt)
    const cut = new AbortController()
    const first = await fetch(`${app.url}/generate`, { ...prompt, headers, signal: cut.signal })
    const { value } = await first.body!.getReader().read()
    const begun = new TextDecoder().decode(value)
    cut.abort()
    const second = await insist(() => fetch(`${app.url}/generate`, { ...prompt, headers }))
    const text = await second.text()
    expect([second.status, text.startsWith(begun), text.endsWith('data: [DONE]\n\n')]).toEqual([
      200,
      true,
      true,
    ])
    expect(begun).not.toContain('[DONE]')
    expect((await insist(() => fetch(`${app.url}/generate`, { ...prompt, headers }))).status).toBe(402)
    expect((await earned()) - had).toBeCloseTo(0.05)
  })

  test('invalid input is refused before money moves', async () => {
    const had = await earned()
    for (const body of [{}, { prompt: '' }, { prompt: 'x', tokens: 0 }, { prompt: 'x', tokens: 201 }]) {
      const response = await buyerOf(app).fetch(`${app.url}/generate`, posted(body))
      expect([body, response.status]).toEqual([body, 400])
    }
    expect(await earned()).toBe(had)
  })

  test('a seller that is ended finishes the stream first', async () => {
    const other = await start()
    const response = await buyerOf(other).fetch(`${other.url}/generate`, prompt)
    const [text] = await Promise.all([response.text(), other.close()])
    expect(text).toContain('data: [DONE]')
    await expect(fetch(other.url)).rejects.toThrow('fetch failed')
  })
})
