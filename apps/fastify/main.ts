// A language model that charges per call and streams its tokens. The model is a toy: the same prompt, the same words.
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { createMpp, payment } from '@mppkit/fastify'
import { sqliteStore } from '@mppkit/sqlite'
import Fastify from 'fastify'
import { openRail } from '../lib/rail.ts'
import { run, type App, type AppOptions } from '../lib/run.ts'

interface Prompt {
  prompt: string
  tokens: number
}

const schema = {
  body: {
    type: 'object',
    required: ['prompt'],
    properties: {
      prompt: { type: 'string', minLength: 1, maxLength: 4000 },
      tokens: { type: 'integer', minimum: 1, maximum: 200, default: 20 },
    },
  },
}

/** Starts the model. */
export async function start({
  port = 0,
  rail: named = 'toy',
  db = ':memory:',
}: AppOptions = {}): Promise<App> {
  const rail = await openRail(named)
  const store = sqliteStore({ path: db })
  const mpp = createMpp({
    realm: 'model.example',
    secret: process.env.MPP_SECRET_KEY ?? 'for-this-example-only-32-bytes-min',
    store,
    methods: rail.methods,
    onEvent: ({ type, id }) => console.log(`${type}: call ${id}`),
  })
  await mpp.check()

  const app = Fastify()
  app.get('/', () => ({ sells: 'tokens', model: 'parrot-1', simulated: true }))
  app.post<{ Body: Prompt }>(
    '/generate',
    { ...mpp.charge({ amount: '0.05', description: 'One call of parrot-1' }), schema },
    (request, reply) => {
      // Fires when the buyer has left. Who paid may come again with the same credential, and gets the same words.
      const { signal } = payment(request)
      return reply
        .type('text/event-stream')
        .header('X-Accel-Buffering', 'no')
        .send(Readable.from(events(request.body, signal)))
    },
  )

  await app.listen({ port, host: '127.0.0.1' })
  return {
    url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`,
    rail,
    async close() {
      await mpp.drain()
      app.server.closeAllConnections()
      await app.close()
      await rail.close()
      await store.close?.()
    },
  }
}

/** Server-sent events, one for each token, each sent when it is there. */
async function* events({ prompt, tokens }: Prompt, signal: AbortSignal): AsyncGenerator<string> {
  let index = 0
  for (const token of generate(prompt, tokens)) {
    if (signal.aborted) return
    yield `data: ${JSON.stringify({ index: index++, token })}\n\n`
    await sleep(15)
  }
  yield 'data: [DONE]\n\n'
}

const WORDS = 'a the small blue parrot says that every machine may ask for water bread money and time'.split(
  ' ',
)

/** The toy model: each word follows from the prompt and the words before. */
function* generate(prompt: string, tokens: number): Generator<string> {
  let state = 0x811c9dc5
  for (const letter of prompt) state = Math.imul(state ^ letter.codePointAt(0)!, 0x01000193) >>> 0
  for (let count = 0; count < tokens; count++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    yield WORDS[(state >>> 8) % WORDS.length]!
  }
}

if (import.meta.main) await run(start, '/generate', '{"prompt":"Who are you?","tokens":8}')
