import type { AddressInfo } from 'node:net'
import Fastify, { type RouteShorthandOptions } from 'fastify'
import { FIXED, PROBLEM } from '../../floor.ts'
import { CONTENT, ourFloor, PRICE } from '../peers.ts'
import { chargeOf, ourOptions, TARGET, theirOptions, type Peer, type Served } from './peer.ts'

/** Fastify. */
export async function start(peer: Peer): Promise<Served> {
  const app = Fastify()
  app.get(TARGET, await optionsOf(peer), async () => CONTENT)
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { port: (app.server.address() as AddressInfo).port, target: TARGET }
}

async function optionsOf(peer: Peer): Promise<RouteShorthandOptions> {
  switch (peer) {
    case 'bare':
      return {}
    case 'floor':
      return floor()
    case 'ours':
      return (await import('@mppkit/fastify')).createMpp(ourOptions()).charge(PRICE)
    case 'mppx':
      return theirs()
  }
}

/** mppx has nothing for Fastify: its listener for Node, as it is documented, in a hook. */
async function theirs(): Promise<RouteShorthandOptions> {
  const { Mppx } = await import('mppx/server/core')
  const mppx = Mppx.create(await theirOptions())
  type Intent = Parameters<typeof Mppx.toNodeListener>[0]
  return {
    async preHandler({ raw }, reply) {
      const { status } = await Mppx.toNodeListener(chargeOf<Intent>(mppx))(raw, reply.raw)
      if (status === 402) reply.hijack()
    },
  }
}

function floor(): RouteShorthandOptions {
  const { challenge, verify } = ourFloor()
  return {
    onRequest({ raw, headers }, reply, done) {
      const scope = `${raw.method} ${raw.url}`
      const refuse = (): void =>
        void reply
          .code(402)
          .headers({ 'www-authenticate': challenge(scope), ...FIXED })
          .send(PROBLEM)
      const field = headers.authorization
      if (field === undefined) return refuse()
      verify(field, scope).then((receipt) => {
        if (receipt === undefined) return refuse()
        reply.headers({ 'payment-receipt': receipt, 'cache-control': 'private' })
        done()
      }, done)
    },
  }
}
