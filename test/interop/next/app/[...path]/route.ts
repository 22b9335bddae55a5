import type { NextRequest } from 'next/server.js'

type Handler = (request: NextRequest, context: object) => Response | Promise<Response>

// The shops live in the process that runs this server: what one of them exports for a path and a method answers here.
const shops = Symbol.for('mppkit.interop.shops')

function handle(request: NextRequest, context: object): Response | Promise<Response> {
  const all = (globalThis as { [shops]?: Map<string, Record<string, Handler>> })[shops]
  const handlers = all?.get(request.headers.get('x-shop') ?? '') ?? {}
  const path = request.nextUrl.pathname.replace(/^\/api\/v1\/photos\/.*/, '/api/v1/photos/[id]')
  const handler = handlers[`${request.method} ${path}`]
  return handler ? handler(request, context) : new Response('no such path', { status: 404 })
}

export { handle as GET, handle as POST }
