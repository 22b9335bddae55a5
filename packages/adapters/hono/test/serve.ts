import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer, type ServerType } from '@hono/node-server'
import { Hono, type Context } from 'hono'
import { stream } from 'hono/streaming'
import type { App, Reply, Serve } from '../../../testing/src/lib/adapter-app.ts'
import { paid, payment } from '../src/index.ts'

/** How Hono mounts a route and answers. */
export function mount({ routes, onError }: App): Hono {
  const app = new Hono()
  app.onError((error, c) => {
    onError(error)
    return c.text('handled', 500)
  })
  for (const { verb, path, gates, reply, started, tree, prefix = '/', parseFirst } of routes) {
    const router = new Hono()
    const at = tree ? `${path}/*` : path
    if (parseFirst)
      router.use(at, async (c, next) => {
        await c.req.text()
        await next()
      })
    for (const gate of gates) router.use(at, paid(gate))
    router[verb](at, async (c) => {
      await started()
      return answer(reply, c)
    })
    app.route(prefix, router)
  }
  return app
}

/** Hono on Node. */
export const serve: Serve = async (app) => {
  const server = createAdaptorServer({ fetch: mount(app).fetch }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    close: () => close(server),
  }
}

export async function close(server: ServerType): Promise<void> {
  server.close()
  if ('closeAllConnections' in server) server.closeAllConnections()
  await once(server, 'close')
}

async function answer(reply: Reply, c: Context): Promise<Response> {
  if ('headers' in reply)
    for (const [name, value] of reply.headers ?? []) c.header(name, value, { append: true })
  switch (reply.kind) {
    case 'json':
      return c.json(reply.body as object, (reply.status ?? 200) as 200)
    case 'text':
      return c.text(reply.body, (reply.status ?? 200) as 200)
    case 'bytes':
      return c.body(new Uint8Array(reply.body))
    case 'empty':
      return c.body(null, reply.status)
    case 'stream':
      return stream(c, async (out) => {
        const gone = new AbortController()
        out.onAbort(() => gone.abort())
        for await (const chunk of reply.chunks(gone.signal)) await out.write(chunk)
      })
    case 'redirect':
      return c.redirect(reply.to, reply.status)
    case 'throw':
      throw new Error('thrown by the handler')
    case 'break':
      return c.body(broken(reply.first))
    case 'echo':
      return c.json({ body: await c.req.text() })
    case 'payment': {
      const { id, attempt, method, intent, payer, receipt, request } = payment(c)
      return c.json({ id, attempt, method, intent, payer, reference: receipt.reference, request })
    }
    case 'cookies':
      c.header('set-cookie', 'a=1', { append: true })
      c.header('set-cookie', 'b=2', { append: true })
      return c.json({}, 200, { 'cache-control': 'public, max-age=60' })
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
