import type { Gate } from '@mppkit/server'

/** How a handler of the test app answers; an adapter's test writes each in its framework's own idiom. */
export type Reply =
  | { kind: 'json'; body: unknown; status?: number; headers?: [name: string, value: string][] }
  | { kind: 'text'; body: string; status?: number; headers?: [name: string, value: string][] }
  /** One piece of binary content. */
  | { kind: 'bytes'; body: Uint8Array }
  /** No content: 204 or 304. */
  | { kind: 'empty'; status: 204 | 304 }
  /** A streamed body; the handler must pass each chunk on as it comes. */
  | { kind: 'stream'; chunks(signal: AbortSignal): AsyncIterable<Uint8Array> }
  | { kind: 'redirect'; to: string; status: 302 | 303 }
  /** Throws (or rejects) instead of answering. */
  | { kind: 'throw' }
  /** Starts a stream, then fails in the middle of it. */
  | { kind: 'break'; first: Uint8Array }
  /** Answers JSON `{ body }`: the request body as the handler itself reads it, as text. */
  | { kind: 'echo' }
  /** Answers the `payment()` of the request as JSON: `{ id, attempt, method, intent, payer, reference, request }`. */
  | { kind: 'payment' }
  /** Sets two cookies `a=1` and `b=2` and `Cache-Control: public, max-age=60`, and answers JSON `{}`. */
  | { kind: 'cookies' }

export interface AppRoute {
  verb: 'get' | 'post' | 'put' | 'delete' | 'all'
  path: string
  /** Undefined: a free route. Several: guarded one after another, which is a mistake that must be reported. */
  gates: Gate[]
  reply: Reply
  /** To be called and awaited first thing in the handler. When it rejects, so does the handler. */
  started(): void | Promise<void>
  /** Also serve everything below `path` (a wildcard route), with the same gates and reply. */
  tree?: boolean
  /** Mount this route in a sub-app (router, group) under `prefix`. */
  prefix?: string
  /** Read the body with the framework's own parser before the gate runs, where the framework can. */
  parseFirst?: boolean
}

/** What a test asks an adapter to serve, on a real socket. */
export interface App {
  routes: AppRoute[]
  /** Call for every error that reaches the framework's error handler, then answer 500 with the text `handled`. */
  onError(error: unknown): void
}

export interface Served {
  /** Without trailing slash, e.g. `http://127.0.0.1:4711`. */
  url: string
  close(): Promise<void>
}

export type Serve = (app: App) => Promise<Served>
