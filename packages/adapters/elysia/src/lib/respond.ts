import { toResponse, type Answer } from '@mppkit/server'
import { besideOf } from './incoming.ts'
import { LateResponse } from './late-response.ts'
import { putHeaders } from './made.ts'
import type { Answering, Sending } from './sending.ts'

/** An answer of the gate. */
interface Own extends Sending {
  /** What hooks of the app see, who know that a Response is not theirs to wrap. */
  readonly response: Response
}

export function respond(answer: Answer, context: Answering): Own {
  const { body, headers, status } = answer
  const { set } = context
  const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body
  if (!besideOf(context.request) || !(bytes instanceof Uint8Array) || headers.some(isCookie))
    return { response: whole(answer, set), mapped: () => undefined }
  const response = new LateResponse(status, () => whole(answer, set))
  return {
    response,
    // On Node, Elysia sends a Response piece by piece, and bytes at once.
    mapped() {
      if (context.response !== response) return
      putHeaders(set.headers, joined(answer))
      set.status = status
      return bytes
    },
  }
}

function isCookie([name]: [string, string]): boolean {
  return name.toLowerCase() === 'set-cookie'
}

/** As a Response would have them. */
function joined({ headers, body }: Answer): Answer['headers'] {
  const fields = new Map<string, string>()
  for (const [field, value] of headers) {
    const name = field.toLowerCase()
    const held = fields.get(name)
    fields.set(name, held === undefined ? value : `${held}, ${value}`)
  }
  if (typeof body === 'string' && !fields.has('content-type'))
    fields.set('content-type', 'text/plain;charset=UTF-8')
  return [...fields]
}

function whole(answer: Answer, set: Answering['set']): Response {
  const response = toResponse(answer)
  // What Elysia makes of it has a body of unknown length.
  if (typeof answer.body === 'string')
    response.headers.set('content-length', String(new TextEncoder().encode(answer.body).length))
  const cookies = response.headers.getSetCookie()
  if (cookies.length > 1) {
    // On Node, Elysia drops all but one of a Response whose headers it has to merge with others.
    response.headers.delete('set-cookie')
    set.headers['set-cookie'] = cookies
  }
  return response
}
