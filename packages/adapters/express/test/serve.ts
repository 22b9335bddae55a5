import { Readable } from 'node:stream'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { remember } from '@mppkit/node'
import express, { type ErrorRequestHandler, type Request, type Response } from 'express'
import type { Reply, Serve } from '../../../testing/src/lib/adapter-app.ts'
import { paid, payment } from '../src/index.ts'

/** How Express mounts a route and answers. */
export const serve: Serve = async ({ routes, onError }) => {
  const app = express()
  for (const { verb, path, gates, reply, started, tree, prefix = '/', parseFirst } of routes) {
    const router = express.Router()
    const at = tree ? `${path}{/*rest}` : path
    // On this path only: a router that is mounted at the root sees the requests of all routes after it.
    if (parseFirst)
      router.use(at, express.text({ type: () => true, verify: (req, _res, bytes) => remember(req, bytes) }))
    router[verb](
      at,
      ...gates.map(paid),
      express.text({ type: () => true, limit: '10mb' }),
      async (req, res) => {
        await started()
        await answer(reply, req, res)
      },
    )
    app.use(prefix, router)
  }
  const handled: ErrorRequestHandler = (error, _req, res, next) => {
    onError(error)
    if (res.headersSent) next(error)
    else res.status(500).send('handled')
  }
  app.use(handled)
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

async function answer(reply: Reply, req: Request, res: Response): Promise<void> {
  switch (reply.kind) {
    case 'json':
      for (const [name, value] of reply.headers ?? []) res.append(name, value)
      return void res.status(reply.status ?? 200).json(reply.body)
    case 'text':
      for (const [name, value] of reply.headers ?? []) res.append(name, value)
      return void res.status(reply.status ?? 200).send(reply.body)
    case 'bytes':
      return void res.send(Buffer.from(reply.body))
    case 'empty':
      return void res.status(reply.status).end()
    case 'stream': {
      const gone = new AbortController()
      res.once('close', () => gone.abort())
      return void Readable.from(reply.chunks(gone.signal)).pipe(res)
    }
    case 'redirect':
      return res.redirect(reply.status, reply.to)
    case 'throw':
      throw new Error('thrown by the handler')
    case 'break':
      res.write(reply.first)
      throw new Error('broken off by the handler')
    case 'echo':
      return void res.json({ body: (req.body as string | undefined) ?? '' })
    case 'payment': {
      const { id, attempt, method, intent, payer, receipt, request } = payment(req)
      return void res.json({ id, attempt, method, intent, payer, reference: receipt.reference, request })
    }
    case 'cookies':
      return void res
        .cookie('a', '1', { path: '' })
        .append('set-cookie', 'b=2')
        .set('cache-control', 'public, max-age=60')
        .json({})
  }
}
