import type { App, Serve, Served } from '../../../packages/testing/src/lib/adapter-app.ts'

/** A fetch handler, as each runtime calls it. */
export type Handler = (request: Request, ...rest: never[]) => Response | Promise<Response>

/** What an adapter's test/serve.ts exports, or that of the bare fetch handler. */
export interface AppModule {
  /** Starts the whole app on Node. */
  serve?: unknown
  /** Hono, Elysia. */
  mount?(app: App): { fetch: unknown; listen?(options: object): unknown }
  handlerOf?(app: App): unknown
}

/** How this adapter's app is served by a runtime that takes fetch handlers. */
export function handlerOf(module: AppModule, app: App): Handler {
  if (module.handlerOf) return module.handlerOf(app) as Handler
  if (module.mount) return module.mount(app).fetch as Handler
  throw new Error('this adapter has no fetch handler')
}

/** How this adapter's app is served on Node. */
export function serveOf(module: AppModule): Serve {
  const serve = module.serve as (app: unknown) => Promise<Served>
  return (app) => serve(module.handlerOf ? module.handlerOf(app) : app)
}
