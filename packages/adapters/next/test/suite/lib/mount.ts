import { NextResponse, type NextRequest } from 'next/server.js'
import type { Gate, Incoming } from '@mppkit/server'
import { paid, payment } from '@mppkit/next'
import type { App, AppRoute, Reply } from '../../../../../testing/src/lib/adapter-app.ts'

type Handler = (request: NextRequest) => Response | Promise<Response>

/** The handler that a route file would export for this request. */
export function handlerFor(app: App, request: NextRequest): Handler {
  const { pathname } = request.nextUrl
  const route = app.routes.find(({ prefix = '', path, tree, verb }) => {
    const whole = prefix + path
    const fits = pathname === whole || (tree === true && pathname.startsWith(`${whole}/`))
    // Next answers HEAD with GET, and OPTIONS by itself where nothing is exported for it.
    const method = request.method === 'HEAD' ? 'get' : request.method.toLowerCase()
    return fits && (verb === 'all' || verb === method)
  })
  if (!route) return () => new Response('no such route', { status: 404 })
  const { gates, parseFirst } = route
  const inner = catching(app, (own) => run(route, own))
  // What a handler throws is caught within the guard, what the guard throws around it.
  return catching(app, async (own) => {
    if (parseFirst) await own.text()
    if (own.method === 'OPTIONS' && gates[0]) return paid(local(gates[0])).all({}).OPTIONS(own)
    return gates.reduce((handler, gate) => paid(local(gate))(handler), inner)(own)
  })
}

/** As people write it: Next has no error handler for routes but an empty 500. */
function catching(app: App, handler: Handler): (request: NextRequest) => Promise<Response> {
  return async (request) => {
    try {
      return await handler(request)
    } catch (error) {
      app.onError(error)
      return new Response('handled', { status: 500 })
    }
  }
}

/** The suite's gates have no origin. What `origin: 'http://localhost'` would vouch for is put in here. */
function local(gate: Gate): Gate {
  const asked = (incoming: Incoming): ReturnType<Gate> => {
    const { method, target, headers, signal, waitUntil } = incoming
    const body = (limit: number): Promise<Uint8Array> => incoming.body?.(limit) ?? Promise.reject(new Error())
    return gate({ method, target, headers, signal, waitUntil, body, transport: 'loopback' })
  }
  return Object.assign(asked, { offers: gate.offers })
}

async function run({ started, reply }: AppRoute, request: NextRequest): Promise<Response> {
  await started()
  return answer(reply, request)
}

async function answer(reply: Reply, request: NextRequest): Promise<Response> {
  switch (reply.kind) {
    case 'json':
      return NextResponse.json(reply.body, { status: reply.status ?? 200, headers: reply.headers ?? [] })
    case 'text':
      return new NextResponse(reply.body, { status: reply.status ?? 200, headers: reply.headers ?? [] })
    case 'bytes':
      return new Response(reply.body as BodyInit)
    case 'empty':
      return new Response(null, { status: reply.status })
    case 'stream':
      return new Response(stream(reply.chunks(request.signal)))
    case 'redirect':
      return new Response(null, { status: reply.status, headers: { location: reply.to } })
    case 'throw':
      throw new Error('thrown by the handler')
    case 'break':
      return new Response(broken(reply.first))
    case 'echo':
      return NextResponse.json({ body: await request.text() })
    case 'payment': {
      const { id, attempt, method, intent, payer, receipt, request: asked } = payment(request)
      return NextResponse.json({
        id,
        attempt,
        method,
        intent,
        payer,
        reference: receipt.reference,
        request: asked,
      })
    }
    case 'cookies': {
      // Those of next/headers are put onto the answer by Next itself, behind the guard: next.test.ts asks for them.
      const response = NextResponse.json({}, { headers: { 'cache-control': 'public, max-age=60' } })
      response.cookies.set('a', '1').set('b', '2')
      return response
    }
  }
}

function stream(chunks: AsyncIterable<Uint8Array>): ReadableStream {
  const iterator = chunks[Symbol.asyncIterator]()
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    cancel: async () => void (await iterator.return?.()),
  })
}

function broken(first: Uint8Array): ReadableStream {
  let sent = false
  return new ReadableStream({
    pull(controller) {
      if (sent) controller.error(new Error('broken off by the handler'))
      else controller.enqueue(first)
      sent = true
    },
  })
}
