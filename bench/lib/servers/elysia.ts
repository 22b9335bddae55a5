import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Elysia, type Context } from 'elysia'
import { FIXED, PROBLEM } from '../../floor.ts'
import { CONTENT, ourFloor, PRICE } from '../peers.ts'
import { chargeOf, ourOptions, TARGET, theirOptions, type Peer, type Served } from './peer.ts'

/** Elysia: on Node through its adapter, on Bun without one. */
export async function start(peer: Peer): Promise<Served> {
  const isBun = 'bun' in process.versions
  const app = new Elysia(isBun ? {} : { adapter: (await import('@elysiajs/node')).node() })
  app.get(TARGET, () => CONTENT, await hooksOf(peer))
  return new Promise((resolve) => {
    app.listen({ port: 0, hostname: '127.0.0.1' }, (server) => {
      const port = server.port ?? 0
      if (isBun) return resolve({ port, target: TARGET })
      // The adapter repeats the port that was asked for.
      const listener = (server as unknown as { raw: { node: { server: Server } } }).raw.node.server
      const listening = (): void =>
        resolve({ port: (listener.address() as AddressInfo).port, target: TARGET })
      if (listener.listening) listening()
      else listener.once('listening', listening)
    })
  })
}

interface Hooks {
  beforeHandle?(context: Context): unknown
}

async function hooksOf(peer: Peer): Promise<Hooks> {
  switch (peer) {
    case 'bare':
      return {}
    case 'floor':
      return floor()
    case 'ours':
      return (await import('@mppkit/elysia')).createMpp(ourOptions()).charge(PRICE) as Hooks
    case 'mppx':
      return { beforeHandle: chargeOf((await import('mppx/elysia')).Mppx.create(await theirOptions())) }
  }
}

function floor(): Hooks {
  const { challenge, verify } = ourFloor()
  // Bytes, because on Node the body of a Response is streamed, which costs more than all the rest.
  const body = new TextEncoder().encode(PROBLEM)
  const length = String(body.length)
  return {
    beforeHandle({ request, set }) {
      const { method, url, headers } = request
      const scope = `${method} ${url.slice(url.indexOf('/', 8))}`
      const refuse = (): Uint8Array => {
        set.status = 402
        Object.assign(set.headers, FIXED, { 'www-authenticate': challenge(scope), 'content-length': length })
        return body
      }
      const field = headers.get('authorization')
      if (field === null) return refuse()
      return verify(field, scope).then((receipt) => {
        if (receipt === undefined) return refuse()
        set.headers['payment-receipt'] = receipt
        set.headers['cache-control'] = 'private'
        return undefined
      })
    },
  }
}
