import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { afterEach } from 'vitest'
import { parseChallenges } from '../../../../core/src/index.ts'
import { createToyLedger } from '../../../../testing/src/lib/toy-ledger.ts'
import { toyMethod } from '../../../../testing/src/lib/toy-method.ts'
import { toyWallet } from '../../../../testing/src/lib/toy-wallet.ts'
import { createMpp } from '../../src/index.ts'

let app: FastifyInstance | undefined
let mpp: { close(): void } | undefined

afterEach(async () => {
  await app?.close()
  mpp?.close()
  app = mpp = undefined
})

/** An app that is closed when its test has ended. */
export function make(options: FastifyServerOptions = {}): FastifyInstance {
  app = Fastify({ forceCloseConnections: true, ...options })
  return app
}

/** Serves it on a real socket. */
export function listen(served: FastifyInstance): Promise<string> {
  return served.listen({ host: '127.0.0.1', port: 0 })
}

/** Errors that reach the app's error handler. */
export function caught(by: FastifyInstance): Error[] {
  const errors: Error[] = []
  by.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    errors.push(error)
    return reply.code(error.statusCode ?? 500).send('handled')
  })
  return errors
}

/** A real server behind the gates, and a buyer with money. */
export async function shop(): Promise<Shop> {
  const ledger = createToyLedger()
  await ledger.fund('alice', 1_000_000n)
  const method = toyMethod({ ledger, recipient: 'shop' })
  const made = createMpp({ realm: 'test', secret: 'x'.repeat(32), methods: [method] })
  mpp = made
  const wallet = toyWallet({ ledger, account: 'alice' })
  return {
    mpp: made,
    alice: { answer: (field) => wallet.pay(parseChallenges([field]).challenges[0]!) },
    sales: async () => (await ledger.transfers()).length,
  }
}

interface Shop {
  mpp: ReturnType<typeof createMpp<readonly [ReturnType<typeof toyMethod>]>>
  /** Pays what a `WWW-Authenticate` field asks, and gives the credential. */
  alice: { answer(field: string): Promise<string> }
  /** How often money has moved. */
  sales(): Promise<number>
}
