import { answer, cpuTime } from './measure.ts'
import type { Peer, Served } from './servers/peer.ts'

/** As they are called on the command line. */
export type Framework = 'hono' | 'express' | 'fastify' | 'elysia' | 'elysia-bun' | 'next'

/** Start the server, answered with `Served`; or the CPU time used so far. */
export type Question = { framework: Framework; peer: Peer } | 'cpu'

const SERVERS: Record<Framework, () => Promise<{ start(peer: Peer): Promise<Served> }>> = {
  hono: () => import('./servers/hono.ts'),
  express: () => import('./servers/express.ts'),
  fastify: () => import('./servers/fastify.ts'),
  elysia: () => import('./servers/elysia.ts'),
  'elysia-bun': () => import('./servers/elysia.ts'),
  next: () => import('./servers/next.ts'),
}

answer(async (question: Question) => {
  if (question === 'cpu') return cpuTime()
  const { start } = await SERVERS[question.framework]()
  return start(question.peer)
})
