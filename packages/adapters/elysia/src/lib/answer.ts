import { delivery, sideTable, type Grant, type Incoming } from '@mppkit/server'
import { mapResponse } from 'elysia/adapter/web-standard/handler'
import { besideOf } from './incoming.ts'
import { inBytes, isFile, isSendable, isStream, putHeaders, removeHeaders, statusOf } from './made.ts'
import type { Answering, Sending } from './sending.ts'

/** An answer that has been paid for. */
interface Paid extends Sending {
  /** The client went before there was an answer. */
  readonly gone: boolean
}

const BODILESS = [204, 205, 304]
const CHUNKED: [string, string] = ['transfer-encoding', 'chunked']

const wardrobe = /* @__PURE__ */ sideTable<object, { read(): object; put(headers: object): void }>()

// The same two functions for all: with closures each `set` would have a shape of its own, which costs more than the gate.
const HEADERS: PropertyDescriptor & ThisType<object> = {
  enumerable: true,
  configurable: true,
  get() {
    return wardrobe.get(this)?.read()
  },
  set(next: object) {
    wardrobe.get(this)?.put(next)
  },
}

/** Applies a grant to the answer that Elysia is about to make. */
export function answer(context: Answering, grant: Grant, incoming: Incoming): Paid {
  const { error, set } = context
  // Cookies that are set through `cookie` may yet be signed: what would be kept is not what will be sent.
  const held = { ...grant, keeps: 0 }
  const { gone, report, send, told } = delivery(held, incoming, besideOf(context.request))
  let own: object = set.headers
  let added: [string, string][] = []
  let ours: Response | undefined
  let busy = false
  let status = 0

  // Elysia reads the headers last of all, with the status: only then is known which are to be added. No hook of a route
  // sees every answer: not the one that a hook of the app has mapped, nor that to an error, and none with `aot: false`.
  wardrobe.set(set, {
    read: () => (!busy && !isOurs() && ('response' in context || hasFailed()) ? dressed() : own),
    put: (next) => (own = next),
  })
  Object.defineProperty(set, 'headers', HEADERS)

  return {
    gone,
    async mapped() {
      const { response } = context
      const keeps = hasCookies() ? 0 : grant.keeps
      if (ours || isFile(response) || (hasFailed() && response === undefined)) return
      if (!(response instanceof Response || (isStream(response) ? !told : keeps > 0))) return
      held.keeps = keeps
      ours = await send(await asResponse(response))
      // Elysia maps it once more, and all that was set has been applied. For errors it does not say so itself.
      context.response = ours
      own = Object.create(null) as object
      set.status = 200
      return ours
    },
    ended() {
      // A stream that nobody could follow may have been left.
      if (told || isOurs()) return
      if (incoming.signal?.aborted) report(499, 'some')
      // Elysia need not have noticed: with `aot: false` it makes the answer where no hook sees it fail.
      else if (!isSendable(own)) report(500, 'nothing')
      else report(statusOf(context, hasFailed()), isStream(context.response) ? 'some' : 'all')
    },
  }

  function hasFailed(): boolean {
    return context.error !== error
  }

  function isOurs(): boolean {
    return ours !== undefined && context.response === ours
  }

  function hasCookies(): boolean {
    return Object.keys(set.cookie ?? {}).length > 0
  }

  function dressed(): object {
    // How a stream is sent is for the runtime to say: a client of HTTP/1.0 cannot read it in chunks.
    removeHeaders(own, [...added, CHUNKED])
    const now = statusOf(context, hasFailed())
    if (now !== status) added = grant.headers((status = now))
    if (hasFailed() && !told) abandon()
    const { response } = context
    // A response of the Node adapter makes its headers only now, from these.
    busy = true
    // In place where it can be: fields that are set beside a Response cost it its second cookie on Node.
    if (!(response instanceof Response && putHeaders(response.headers, added))) putHeaders(own, added)
    busy = false
    return own
  }

  /** No hook of a route follows an error that no hook has answered; one that was is followed before this. */
  function abandon(): void {
    setTimeout(() => void setTimeout(() => report(status, 'nothing'), 0), 0)
  }

  /** As Elysia would; its cookies are left to it. */
  async function asResponse(value: unknown): Promise<Response> {
    const code = statusOf(context, hasFailed())
    // Elysia gives such an answer a body of no length, which no Response may have.
    if (!(value instanceof Response) && BODILESS.includes(code)) {
      const fields = Object.entries(own as Record<string, string>)
      return new Response(null, { status: code, headers: fields })
    }
    const cookie = hasCookies() ? set.cookie : undefined
    delete set.cookie
    try {
      const response = await (mapResponse(value, set, context.request) as Response | Promise<Response>)
      // It says how the runtime will send a stream, and makes Elysia decode it as text.
      response.headers.delete('transfer-encoding')
      return isStream(value) ? new Response(inBytes(response.body), response) : response
    } finally {
      if (cookie) set.cookie = cookie
    }
  }
}
