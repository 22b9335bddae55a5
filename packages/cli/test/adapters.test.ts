import { conform, playMoney } from '@mppkit/testing/conform'
import { describe, expect, test } from 'vitest'
import { serve as onElysia } from '../../adapters/elysia/test/serve.ts'
import { serve as onExpress } from '../../adapters/express/test/serve.ts'
import { serve as onFastify } from '../../adapters/fastify/test/serve.ts'
import { serve as onHono } from '../../adapters/hono/test/serve.ts'
import { openApp } from './apps.ts'

const adapters = { express: onExpress, hono: onHono, fastify: onFastify, elysia: onElysia }

test('a server that names another header for credentials is paid there', async () => {
  const app = await openApp(onExpress, { header: 'Payment-Authorization' })
  try {
    const url = `${app.url}/photo`
    const report = await conform({ url, profile: 'mppkit', pay: playMoney(app.alice) })
    const failed = report.verdicts.filter(({ outcome }) => outcome === 'failed')
    expect(failed.map(({ id, detail }) => `${id}: ${detail}`)).toEqual([])
    expect(report.passed).toBeGreaterThan(75)
  } finally {
    await app.close()
  }
})

test('a stream is not expected to be kept', async () => {
  const app = await openApp(onExpress)
  try {
    const { verdicts } = await conform({
      url: `${app.url}/events`,
      profile: 'mppkit',
      pay: playMoney(app.alice),
    })
    expect(verdicts.find(({ id }) => id === 'kept-answer')).toMatchObject({
      outcome: 'skipped',
      detail: 'streams, and answers above 64 KB, are not kept',
    })
  } finally {
    await app.close()
  }
})

describe('our adapters pass everything that can be asked from outside', () => {
  for (const [name, serve] of Object.entries(adapters))
    for (const [method, path] of [
      ['GET', '/photo'],
      ['POST', '/photo'],
      ['GET', '/letter'],
    ] as const)
      test(`${name}, ${method} ${path}`, async () => {
        const app = await openApp(serve)
        try {
          const report = await conform({
            url: `${app.url}${path}`,
            failing: '/failing',
            method,
            ...(method === 'POST' && { body: '{"size":"large"}', headers: [['Content-Type', 'text/plain']] }),
            profile: 'mppkit',
            pay: playMoney(app.alice),
          })
          const failed = report.verdicts.filter(({ outcome }) => outcome === 'failed')
          expect(failed.map(({ id, detail }) => `${id}: ${detail}`)).toEqual([])
          expect(report.passed).toBeGreaterThan(75)
          expect(report.took).toBeLessThan(20_000)
        } finally {
          await app.close()
        }
      })
})
