import { serve } from '@hono/node-server'
import { Hono, type MiddlewareHandler } from 'hono'
import { FIXED, PROBLEM } from '../../floor.ts'
import { CONTENT, ourFloor, PRICE } from '../peers.ts'
import { chargeOf, ourOptions, TARGET, theirOptions, type Peer, type Served } from './peer.ts'

/** Hono on Node. */
export async function start(peer: Peer): Promise<Served> {
  const app = new Hono()
  const gate = await gateOf(peer)
  if (gate) app.get(TARGET, gate, (c) => c.json(CONTENT))
  else app.get(TARGET, (c) => c.json(CONTENT))
  return new Promise((resolve) =>
    serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) =>
      resolve({ port, target: TARGET }),
    ),
  )
}

async function gateOf(peer: Peer): Promise<MiddlewareHandler | undefined> {
  switch (peer) {
    case 'bare':
      return undefined
    case 'floor':
      return floor()
    case 'ours':
      return (await import('@mppkit/hono')).createMpp(ourOptions()).charge(PRICE)
    case 'mppx':
      return chargeOf((await import('mppx/hono')).Mppx.create(await theirOptions()))
  }
}

function floor(): MiddlewareHandler {
  const { challenge, verify } = ourFloor()
  return async (c, next) => {
    const { method, url, headers } = c.req.raw
    const scope = `${method} ${url.slice(url.indexOf('/', 8))}`
    const field = headers.get('authorization')
    const receipt = field === null ? undefined : await verify(field, scope)
    if (receipt === undefined)
      // Of a plain record @hono/node-server makes no Headers.
      return new Response(PROBLEM, {
        status: 402,
        headers: { 'www-authenticate': challenge(scope), ...FIXED },
      })
    await next()
    c.res.headers.set('payment-receipt', receipt)
    c.res.headers.set('cache-control', 'private')
    return undefined
  }
}
