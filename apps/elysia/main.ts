// Browser sessions: paid per session, extendable, and owned by whoever paid. The browsers themselves are simulated.
import { once } from 'node:events'
import type { Server } from 'node:http'
import { node } from '@elysiajs/node'
import { createMpp, payment } from '@mppkit/elysia'
import { sqliteStore } from '@mppkit/sqlite'
import { Elysia } from 'elysia'
import { openRail } from '../lib/rail.ts'
import { listening, run, type App, type AppOptions } from '../lib/run.ts'
import { createSessions, MINUTES, shown } from './sessions.ts'

/** Starts the rental of browsers. */
export async function start({
  port = 0,
  rail: named = 'toy',
  db = ':memory:',
}: AppOptions = {}): Promise<App> {
  const rail = await openRail(named)
  const store = sqliteStore({ path: db })
  const sessions = createSessions()
  const mpp = createMpp({
    realm: 'browsers.example',
    secret: process.env.MPP_SECRET_KEY ?? 'for-this-example-only-32-bytes-min',
    store,
    methods: rail.methods,
    onEvent: ({ type, id }) => console.log(`${type}: payment ${id}`),
  })
  await mpp.check()

  const session = mpp.charge({ amount: '0.25', description: `A browser for ${MINUTES} minutes` })
  const extension = mpp.charge({
    description: `${MINUTES} minutes more`,
    // Who has not got the key, and what is over, is refused before anybody is asked for money.
    amount({ target, header }) {
      const found = sessions.get(idIn(target))
      if (!found) return refusal(404, 'no such session')
      if (header('session-key') !== found.key)
        return refusal(403, 'this session is not yours: send its Session-Key')
      return found.until < Date.now() ? refusal(409, 'this session is over') : '0.10'
    },
  })
  const proof = mpp.charge({
    description: 'Who are you? Free for the owner',
    amount: ({ target }) => (sessions.get(idIn(target)) ? '0' : refusal(404, 'no such session')),
  })

  const app = new Elysia({ adapter: node() })
    .get('/', () => ({ sells: 'browser sessions', minutes: MINUTES, simulated: true }))
    .post(
      '/sessions',
      async (context) => {
        const { id, payer } = payment(context)
        return context.status(201, shown(await sessions.open(id, payer)))
      },
      session,
    )
    .post(
      '/sessions/:id/extend',
      async (context) => {
        const found = sessions.get(context.params.id)
        // Browsers do not outlive the process; the payment does, and is not kept for nothing.
        if (!found) return context.status(404, { detail: 'no such session' })
        return shown(await sessions.extend(found, payment(context).id))
      },
      extension,
    )
    .get(
      '/sessions/:id',
      (context) => {
        const found = sessions.get(context.params.id)
        // Whoever asks has proven who they are, and has paid nothing for it.
        const { payer } = payment(context)
        if (!found || payer === undefined || payer !== found.owner)
          return context.status(403, { detail: 'this session belongs to somebody else' })
        return shown(found)
      },
      proof,
    )

  const server = await new Promise<Server>((resolve) => {
    app.listen({ port, hostname: '127.0.0.1' }, (info) => {
      resolve((info as unknown as { raw: { node: { server: Server } } }).raw.node.server)
    })
  })
  if (!server.listening) await once(server, 'listening')
  return listening(server, { rail, mpp, store })
}

function idIn(target: string): string {
  return target.split(/[/?]/)[2] ?? ''
}

function refusal(status: number, detail: string) {
  const headers: [string, string][] = [['Content-Type', 'application/json']]
  return { status, headers, body: JSON.stringify({ detail }) }
}

if (import.meta.main) await run(start, '/sessions', '{}')
