import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { node } from '@elysiajs/node'
import { Elysia, type Context, type ElysiaConfig } from 'elysia'
import type { App, Reply, Serve } from '../../../testing/src/lib/adapter-app.ts'
import { paid, payment } from '../src/index.ts'

/** How Elysia mounts a route and answers. Gates before the last one guard a group around the route. */
export function mount({ routes, onError }: App, config: ElysiaConfig<''> = {}): Elysia {
  const app = new Elysia(config)
  app.onError(({ code, error, set }) => {
    if (code === 'NOT_FOUND') return undefined
    onError(error)
    set.status = 500
    return 'handled'
  })
  for (const { verb, path, gates, reply, started, tree, prefix = '', parseFirst } of routes) {
    const handler = async (context: Context): Promise<unknown> => {
      await started()
      return answer(reply, context)
    }
    // The bodies of these tests are text, whatever they call themselves.
    const parse = parseFirst ? 'text' : ({ request }: { request: Request }): Promise<string> => request.text()
    type Define = (router: Elysia) => Elysia
    const within =
      (hooks: object, inner: Define): Define =>
      (router) =>
        router.guard(hooks, inner as never) as unknown as Elysia
    const define: Define = (router) => {
      for (const at of tree ? [path, `${path}/*`] : [path])
        (router[verb] as (at: string, handler: unknown, hooks: object) => unknown)(at, handler, { parse })
      return router
    }
    const guarded = gates.reduceRight((inner, gate) => within(paid(gate), inner), define)
    if (prefix === '') guarded(app)
    else app.group(prefix as '', guarded as never)
  }
  return app
}

/** Elysia on Node. */
export const serve: Serve = (app) => listen(mount(app, { adapter: node() }))

/** Serves an app on Node, on a port of its own. */
export async function listen(app: Pick<Elysia, 'listen'>): Promise<{ url: string; close(): Promise<void> }> {
  const server = await new Promise<Server>((resolve) => {
    app.listen({ hostname: '127.0.0.1', port: 0 }, (info) => {
      resolve((info as unknown as { raw: { node: { server: Server } } }).raw.node.server)
    })
  })
  if (!server.listening) await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

async function answer(reply: Reply, context: Context): Promise<unknown> {
  const { body, set } = context
  const fields = set.headers as Record<string, string | string[]>
  if ('headers' in reply)
    for (const [name, value] of reply.headers ?? []) {
      const held = fields[name]
      fields[name] = held === undefined ? value : [held, value].flat()
    }
  if ('status' in reply && reply.status !== undefined) set.status = reply.status
  switch (reply.kind) {
    case 'json':
      return reply.body
    case 'text':
      return reply.body
    case 'bytes':
      return new Response(new Uint8Array(reply.body))
    case 'empty':
      return new Response(null, { status: reply.status })
    case 'stream':
      return reply.chunks(context.request.signal)
    case 'redirect':
      // Not `redirect()`: on Node it takes absolute URLs only.
      set.headers['location'] = reply.to
      return undefined
    case 'throw':
      throw new Error('thrown by the handler')
    case 'break':
      return new Response(broken(reply.first))
    case 'echo':
      return { body: body ?? '' }
    case 'payment': {
      const { id, attempt, method, intent, payer, receipt, request } = payment(context)
      return { id, attempt, method, intent, payer, reference: receipt.reference, request }
    }
    case 'cookies':
      fields['set-cookie'] = ['a=1', 'b=2']
      fields['cache-control'] = 'public, max-age=60'
      return {}
  }
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
