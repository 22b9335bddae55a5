import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import type { App, AppRoute, Reply, Served } from '../../../testing/src/lib/adapter-app.ts'
import { paid, payment, type FetchHandler } from '../../src/lib/fetch.ts'

type Handler = FetchHandler<[env?: unknown, context?: unknown]>

/** How a bare fetch handler is guarded and answers: its errors are caught within the gate, the gate's own around it. */
export function handlerOf({ routes, onError }: App): Handler {
  const caught =
    (handler: Handler): Handler =>
    async (request, ...rest) => {
      try {
        return await handler(request, ...rest)
      } catch (error) {
        onError(error)
        return new Response('handled', { status: 500 })
      }
    }
  const table = routes.map((route) => ({
    route,
    handler: route.gates.reduceRight<Handler>((inner, gate) => paid(gate)(inner), caught(handlerFor(route))),
  }))
  return caught((request, ...rest) => {
    const { pathname } = new URL(request.url)
    const found = table.find(({ route }) => fits(route, request.method, pathname))
    return found ? found.handler(request, ...rest) : new Response('not found', { status: 404 })
  })
}

function handlerFor({ reply, started }: AppRoute): Handler {
  return async (request) => {
    await started()
    return answer(reply, request)
  }
}

function fits({ verb, path, prefix = '', tree }: AppRoute, method: string, pathname: string): boolean {
  const whole = prefix + path
  const there = pathname === whole || (tree && pathname.startsWith(`${whole}/`))
  return (
    Boolean(there) &&
    (verb === 'all' || verb.toUpperCase() === method || method === 'HEAD' || method === 'OPTIONS')
  )
}

async function answer(reply: Reply, request: Request): Promise<Response> {
  switch (reply.kind) {
    case 'json':
      return Response.json(reply.body, { status: reply.status ?? 200, headers: reply.headers ?? [] })
    case 'text':
      return new Response(reply.body, { status: reply.status ?? 200, headers: reply.headers ?? [] })
    case 'bytes':
      return new Response(reply.body as BodyInit)
    case 'empty':
      return new Response(null, { status: reply.status })
    case 'stream':
      return new Response(streamOf(reply.chunks(request.signal)))
    case 'redirect':
      return new Response(null, { status: reply.status, headers: { location: reply.to } })
    case 'throw':
      throw new Error('thrown by the handler')
    case 'break':
      return new Response(streamOf(broken(reply.first)))
    case 'echo':
      return Response.json({ body: await request.text() })
    case 'payment': {
      const { id, attempt, method, intent, payer, receipt, request: bought } = payment(request)
      return Response.json({
        id,
        attempt,
        method,
        intent,
        payer,
        reference: receipt.reference,
        request: bought,
      })
    }
    case 'cookies':
      return Response.json(
        {},
        {
          headers: [
            ['set-cookie', 'a=1'],
            ['set-cookie', 'b=2'],
            ['cache-control', 'public, max-age=60'],
          ],
        },
      )
  }
}

function streamOf(chunks: AsyncIterable<Uint8Array>): ReadableStream {
  const iterator = chunks[Symbol.asyncIterator]()
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    cancel: () => void iterator.return?.(),
  })
}

async function* broken(first: Uint8Array): AsyncIterable<Uint8Array> {
  yield first
  throw new Error('broken off by the handler')
}

export async function serve(handler: Handler): Promise<Served> {
  const server = createAdaptorServer({ fetch: handler }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    async close() {
      server.close()
      if ('closeAllConnections' in server) server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
