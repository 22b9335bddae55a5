import { discard } from '@mppkit/node'
import type { Answer } from '@mppkit/server'
import type { FastifyReply } from 'fastify'

/** Sends an answer of the gate through the reply, so that headers and hooks of other plugins apply. */
export function respond(reply: FastifyReply, { status, headers, body }: Answer): undefined {
  const fields: Record<string, string | string[]> = {}
  for (const [name, value] of headers) {
    const held = fields[name]
    fields[name] = held === undefined ? value : [held, value].flat()
  }
  // A serializer of its own, or Fastify would add a charset to the type of a text; null would become JSON.
  reply
    .code(status)
    .headers(fields)
    .serializer(String)
    .send(body ?? undefined)
  discard(reply.request.raw)
}
