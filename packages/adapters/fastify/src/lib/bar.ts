import type { FastifyReply } from 'fastify'

/**
 * Lets nothing but refusals out until the payment is admitted: a cache in somebody's hook would sell to whoever shows a
 * credential that nobody has looked at.
 */
export function bar(reply: FastifyReply, admitted: () => boolean): void {
  const { send } = reply
  let refused = false
  reply.send = (payload?: unknown) => {
    refused ||= payload instanceof Error || reply.statusCode >= 400
    const sold = !refused && !admitted()
    refused ||= sold
    return send.call(reply, sold ? new TypeError(UNADMITTED) : payload)
  }
}

const UNADMITTED =
  'mppkit: a hook answered a guarded route before its payment was admitted. Hooks that answer without a payment belong ' +
  'into onRequest, or behind the gate'
