import type { AddressInfo } from 'node:net'
import express, { type RequestHandler } from 'express'
import { FIXED, PROBLEM } from '../../floor.ts'
import { CONTENT, ourFloor, PRICE } from '../peers.ts'
import { chargeOf, ourOptions, TARGET, theirOptions, type Peer, type Served } from './peer.ts'

/** Express. */
export async function start(peer: Peer): Promise<Served> {
  const app = express()
  const gate = await gateOf(peer)
  const handler: RequestHandler = (_req, res) => void res.json(CONTENT)
  if (gate) app.get(TARGET, gate, handler)
  else app.get(TARGET, handler)
  return new Promise((resolve) => {
    const server = app.listen(0, '127.0.0.1', () =>
      resolve({ port: (server.address() as AddressInfo).port, target: TARGET }),
    )
  })
}

async function gateOf(peer: Peer): Promise<RequestHandler | undefined> {
  switch (peer) {
    case 'bare':
      return undefined
    case 'floor':
      return floor()
    case 'ours':
      return (await import('@mppkit/express')).createMpp(ourOptions()).charge(PRICE)
    case 'mppx':
      return chargeOf((await import('mppx/express')).Mppx.create(await theirOptions()))
  }
}

function floor(): RequestHandler {
  const { challenge, verify } = ourFloor()
  return async (req, res, next) => {
    const scope = `${req.method} ${req.url}`
    const field = req.headers.authorization
    const receipt = field === undefined ? undefined : await verify(field, scope)
    if (receipt === undefined) {
      const length = Buffer.byteLength(PROBLEM)
      res.writeHead(402, { 'www-authenticate': challenge(scope), ...FIXED, 'content-length': length })
      res.end(PROBLEM)
      return
    }
    res.setHeader('payment-receipt', receipt)
    res.setHeader('cache-control', 'private')
    next()
  }
}
