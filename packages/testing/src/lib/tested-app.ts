import { responseOf } from './response-of.ts'

/** What answers requests in a seller's test, without a port. */
export type TestedApp =
  /** A fetch handler; a Next route handler is one once it is given its context: `(request) => GET(request, { params })`. */
  | ((request: any) => Response | Promise<Response>)
  /** Hono, Elysia, the default export of a Worker. */
  | { fetch(request: any, ...rest: any[]): Response | Promise<Response> }
  /** Fastify. */
  | { inject(options: any): PromiseLike<Injected> }
  /** Express, and any server of `node:http`. */
  | { emit(event: any, ...args: any[]): unknown; listen(...args: any[]): unknown }

/** An answer of `light-my-request`. */
interface Injected {
  statusCode: number
  headers: Record<string, number | string | string[] | undefined>
  rawPayload: Uint8Array
}

/** Shows any of them as a fetch handler. Throws `TypeError` for what is none of them. */
export function fetchOf(app: TestedApp): (request: Request) => Promise<Response> {
  if (has(app, 'inject')) return (request) => inject(app as { inject: Inject }, request)
  // Before the next two: an Express app is a function, too.
  if (has(app, 'emit') && has(app, 'listen')) return throughNode(app)
  if (has(app, 'fetch'))
    return async (request) => (app as { fetch(request: Request): Promise<Response> }).fetch(request)
  if (typeof app === 'function') return async (request) => app(request)
  throw new TypeError(
    'mppkit: payAs needs an app: one with fetch() (Hono, Elysia), inject() (Fastify), an Express app, a server of ' +
      'node:http, or a function from Request to Response',
  )
}

function has(app: unknown, name: string): boolean {
  return (
    (typeof app === 'object' || typeof app === 'function') &&
    app !== null &&
    typeof (app as Record<string, unknown>)[name] === 'function'
  )
}

type Inject = (options: object) => PromiseLike<Injected>

async function inject(app: { inject: Inject }, request: Request): Promise<Response> {
  const { pathname, search } = new URL(request.url)
  const { statusCode, headers, rawPayload } = await app.inject({
    method: request.method,
    url: pathname + search,
    headers: Object.fromEntries(request.headers),
    // Other bytes than a Buffer it would write as JSON.
    ...(request.body && { payload: Buffer.from(await request.arrayBuffer()) }),
  })
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((line): [string, string] => [name, String(line)]),
  )
  return responseOf(statusCode, lines, rawPayload)
}

/** Node's modules are loaded only where they are needed, so that the rest runs in any runtime. */
function throughNode(app: object): (request: Request) => Promise<Response> {
  let ready: Promise<(request: Request) => Promise<Response>> | undefined
  return async (request) => {
    ready ??= import('./tested-node.ts').then(({ openNode }) => openNode(app))
    return (await ready)(request)
  }
}
