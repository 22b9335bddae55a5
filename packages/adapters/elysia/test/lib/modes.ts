import { node } from '@elysiajs/node'
import { type AnyElysia, type Elysia, type ElysiaConfig } from 'elysia'
import { call, type Call, type Reply } from '../../../node/test/lib/wire.ts'
import { listen } from '../serve.ts'

let close: (() => Promise<void>) | undefined

/** Ends what `start` or `asking` has begun. */
export async function stop(): Promise<void> {
  await close?.()
  close = undefined
}

/** Whatever its routes are. */
export type App = Pick<AnyElysia, 'handle' | 'listen'>

/** Serves an app on Node. */
export async function start(app: App): Promise<string> {
  const served = await listen(app as Elysia)
  close = served.close
  return served.url
}

export type Ask = (path: string, asked?: Call) => Promise<Reply>

/** Asks over a socket on Node, and hands a bare `Request` to `app.handle()` elsewhere. */
export async function asking(app: App, config: ElysiaConfig<''>): Promise<Ask> {
  if (config.adapter) {
    const url = await start(app)
    return (path, asked) => call(url, path, asked)
  }
  return async (path, { method = 'GET', headers = {}, body = null } = {}) => {
    const init = { method, headers: headers as Record<string, string>, body: body as string | null }
    const response = await app.handle(new Request(`http://localhost${path}`, init))
    const got = Object.fromEntries(response.headers) as Record<string, unknown>
    if (got['set-cookie']) got['set-cookie'] = response.headers.getSetCookie()
    return { status: response.status, headers: got as never, rawHeaders: [], text: await response.text() }
  }
}

/** The ways in which Elysia runs a route. */
export const MODES: [name: string, config: () => ElysiaConfig<''>][] = [
  ['on Node', () => ({ adapter: node() })],
  ['on Node, compiled at once', () => ({ adapter: node(), precompile: true })],
  ['on Node, without compiling', () => ({ adapter: node(), aot: false })],
  ['elsewhere', () => ({})],
  ['elsewhere, without compiling', () => ({ aot: false })],
]
