import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './bundle.ts'
import { RUNTIMES } from './platform.ts'
import type { Cell } from './run-cell.ts'

/** The adapters, in the order in which they are shown; `fetch` is the bare fetch handler of `@mppkit/server`. */
export const ADAPTERS = ['fetch', 'hono', 'express', 'fastify', 'elysia', 'next'] as const

const OF_FETCH: Record<string, readonly string[]> = {
  bun: ['fetch', 'hono', 'elysia'],
  deno: ['fetch', 'hono'],
  workerd: ['fetch', 'hono'],
}

/** Every adapter on every runtime that its framework is made for. */
export function allCells(): Cell[] {
  return RUNTIMES.flatMap((runtime) =>
    (OF_FETCH[runtime] ?? ADAPTERS)
      .filter(
        (adapter) =>
          adapter === 'fetch' || existsSync(join(root, 'packages/adapters', adapter, 'test/serve.ts')),
      )
      .map((adapter) => ({ adapter, runtime })),
  )
}
