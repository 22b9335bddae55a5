import { defectsIn } from './types.ts'

const fastify = 'packages/adapters/fastify/src'
const elysia = 'packages/adapters/elysia/src'

/** What stands between the gate and the frameworks that have hooks of their own. */
export const frameworks = [
  ...defectsIn(`${fastify}/index.ts`, [
    {
      id: 'fastify-second-gate',
      find: '    if (openings.get(raw)) throw twoGates()\n',
      replace: '',
      says: 'one request is charged twice',
    },
    {
      id: 'fastify-admits-anyone',
      find: "    if (decision.kind === 'respond') {\n      respond(reply, decision.answer)\n      return false\n    }",
      replace: "    if (decision.kind === 'respond') return true",
      says: 'the handler runs for a credential that was refused',
    },
    {
      id: 'fastify-unwatched',
      find: '    else watch(reply.raw, grant)\n',
      replace: '',
      says: 'a paid answer has no receipt and no end',
    },
    {
      id: 'fastify-payment-unknown',
      find: '    payments.set(raw, grant.payment)\n',
      replace: '',
      says: 'the handler cannot see its payment',
    },
    {
      id: 'fastify-gone-unreported',
      find: "    if (isOver(reply)) await grant.finish({ status: 499, reached: 'nothing' })\n    else watch",
      replace: '    if (!isOver(reply)) watch',
      says: 'a buyer who left while he paid waits until the lease is over',
    },
  ]),
  ...defectsIn(`${fastify}/lib/respond.ts`, [
    {
      id: 'fastify-last-challenge-only',
      find: 'fields[name] = held === undefined ? value : [held, value].flat()',
      replace: 'fields[name] = value',
      says: 'of several rails one is offered',
    },
    {
      id: 'fastify-problem-type',
      find: '    .headers(fields)\n    .serializer(String)',
      replace: "    .headers({ ...fields, 'content-type': 'text/plain' })\n    .serializer(String)",
      says: 'clients do not know the body for a problem',
    },
  ]),
  ...defectsIn(`${elysia}/index.ts`, [
    {
      id: 'elysia-unparsed-gate',
      find: 'return incoming.refused ? {} : undefined',
      replace: 'return {}',
      says: 'the handler finds no body',
    },
    {
      id: 'elysia-second-gate',
      find: 'if (state.gate !== gate || state.clashes) throw twoGates()',
      replace: '',
      says: 'one request is charged twice',
    },
  ]),
  ...defectsIn(`${elysia}/lib/answer.ts`, [
    {
      id: 'elysia-headers-once',
      find: 'if (now !== status) added = grant.headers((status = now))',
      replace: 'if (status === 0) added = grant.headers((status = now))',
      says: 'an error that follows a good answer is receipted',
    },
    {
      id: 'elysia-keeps-nothing',
      find: 'const keeps = hasCookies() ? 0 : grant.keeps',
      replace: 'const keeps = 0',
      says: 'an answer that got lost cannot be had again',
    },
  ]),
  ...defectsIn(`${elysia}/lib/incoming.ts`, [
    {
      id: 'elysia-target-normalised',
      find: '(this.#beside?.incoming.url ?? pathOf(request.url))',
      replace: 'pathOf(request.url)',
      says: '/cheap/../dear is priced as what a parser made of it',
    },
  ]),
]
