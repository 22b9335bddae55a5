import { receiptOf } from '@mppkit/client'
import { describe, expect, test } from 'vitest'
import { start as startElysia } from '../../apps/elysia/main.ts'
import { start as startExpress } from '../../apps/express/main.ts'
import { start as startFastify } from '../../apps/fastify/main.ts'
import { buyerOf, posted } from './lib/buyer.ts'

describe('on a local Tempo chain', () => {
  test('a letter is paid for with a transaction', async () => {
    const app = await startExpress({ rail: 'tempo' })
    try {
      const letter = { to: 'Ada', country: 'US', text: 'Hi!', pages: 3, colour: true }
      const response = await buyerOf(app).fetch(`${app.url}/letters`, posted(letter))
      expect([response.status, receiptOf(response)?.reference]).toEqual([201, expect.stringMatching(/^0x/)])
      expect(await app.rail.earned('shop')).toBe('1.93')
    } finally {
      await app.close()
    }
  })

  test('a session belongs to the address that paid', async () => {
    const app = await startElysia({ rail: 'tempo' })
    try {
      const opened = await buyerOf(app).fetch(`${app.url}/sessions`, { method: 'POST' })
      const session = (await opened.json()) as { id: string; key: string }
      for (const [name, status] of [
        ['alice', 200],
        ['bob', 403],
      ] as const) {
        const seen = await buyerOf(app, name).fetch(`${app.url}/sessions/${session.id}`)
        expect([name, seen.status]).toEqual([name, status])
        expect((await seen.text()).includes(session.key)).toBe(status === 200)
      }
      expect(await app.rail.earned('shop')).toBe('0.25')
    } finally {
      await app.close()
    }
  })

  test('a call of the model is paid before its first word', async () => {
    const app = await startFastify({ rail: 'tempo' })
    try {
      const response = await buyerOf(app).fetch(`${app.url}/generate`, posted({ prompt: 'Hi', tokens: 3 }))
      expect([response.status, await app.rail.earned('shop')]).toEqual([200, '0.05'])
      expect(await response.text()).toContain('[DONE]')
    } finally {
      await app.close()
    }
  })
})
