import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { remember } from '@mppkit/node'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { App, Reply, Serve } from '../../../testing/src/lib/adapter-app.ts'
import { paid, payment } from '../src/index.ts'

/** How Fastify mounts a route and answers. Gates before the last one guard the scope of the route. */
export function mount({ routes, onError }: App): FastifyInstance {
  const app = Fastify({ bodyLimit: 10 << 20, forceCloseConnections: true })
  app.setErrorHandler((error, _request, reply) => {
    onError(error)
    return reply.code(500).send('handled')
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
  for (const { verb, path, gates, reply, started, tree, prefix = '', parseFirst } of routes) {
    app.register(
      async (scope) => {
        if (parseFirst)
          scope.addHook('preParsing', async (request, _reply, payload) => {
            const bytes = await buffer(payload)
            remember(request.raw, bytes)
            return Readable.from([bytes])
          })
        for (const gate of gates.slice(0, -1)) scope.register(paid(gate).plugin)
        const options = gates.length > 0 ? paid(gates.at(-1)!) : {}
        for (const url of tree ? [path, `${path}/*`] : [path])
          scope[verb](url, options, async (request, answered) => {
            await started()
            return answer(reply, request, answered)
          })
      },
      { prefix },
    )
  }
  return app
}

/** Fastify on Node. */
export const serve: Serve = async (app) => {
  const server = mount(app)
  const url = await server.listen({ host: '127.0.0.1', port: 0 })
  return { url, close: () => server.close() }
}

function answer(reply: Reply, request: FastifyRequest, answered: FastifyReply): unknown {
  if ('headers' in reply)
    for (const [name, value] of reply.headers ?? []) {
      // Fastify adds cookies by itself, and no other field.
      const held = name === 'set-cookie' ? undefined : answered.getHeader(name)
      answered.header(name, held === undefined ? value : [held, value].flat())
    }
  switch (reply.kind) {
    case 'json':
      return answered.code(reply.status ?? 200).send(reply.body)
    case 'text':
      return answered.code(reply.status ?? 200).send(reply.body)
    case 'bytes':
      return answered.send(Buffer.from(reply.body))
    case 'empty':
      return answered.code(reply.status).send()
    case 'stream': {
      const gone = new AbortController()
      answered.raw.once('close', () => gone.abort())
      return answered.send(Readable.from(reply.chunks(gone.signal)))
    }
    case 'redirect':
      return answered.redirect(reply.to, reply.status)
    case 'throw':
      throw new Error('thrown by the handler')
    case 'break':
      return answered.send(Readable.from(broken(reply.first)))
    case 'echo':
      return { body: (request.body as string | undefined) ?? '' }
    case 'payment': {
      const { id, attempt, method, intent, payer, receipt, request: paidFor } = payment(request)
      return { id, attempt, method, intent, payer, reference: receipt.reference, request: paidFor }
    }
    case 'cookies':
      return answered
        .header('set-cookie', 'a=1')
        .header('set-cookie', 'b=2')
        .header('cache-control', 'public, max-age=60')
        .send({})
  }
}

async function* broken(first: Uint8Array): AsyncIterable<Uint8Array> {
  yield first
  throw new Error('broken off by the handler')
}
