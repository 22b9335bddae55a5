import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/[\\/]$/, '')

/** The conformance suite on one framework. */
export interface Judge {
  name: string
  /** The test file that puts the suite to it. */
  file: string
}

/** Of those that can be served in this process. */
const ADAPTERS = ['hono', 'express', 'fastify', 'elysia']

/** All frameworks that the suite can be put to here. */
export function findJudges(): Judge[] {
  return [
    { name: 'fetch', file: 'packages/server/test/fetch.conformance.test.ts' },
    ...ADAPTERS.map((name) => ({ name, file: `packages/adapters/${name}/test/conformance.test.ts` })),
  ].filter(({ file }) => existsSync(join(root, file)))
}

/** Who judges a file: its own adapter; what adapters share, on those that stand for it. */
export function judgesOf(file: string, judges: readonly Judge[]): Judge[] {
  const own = /^packages\/adapters\/([^/]+)\//.exec(file)?.[1]
  const names =
    own === 'node' ? ['express', 'fastify'] : own === undefined ? ['fetch', 'hono', 'express'] : [own]
  return names.flatMap((name) => judges.find((judge) => judge.name === name) ?? [])
}
