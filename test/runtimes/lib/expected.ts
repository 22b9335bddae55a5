import { expectedFailures as next } from '../../../packages/adapters/next/test/expected-failures.ts'
import type { Cell } from './run-cell.ts'

/** A question that an adapter cannot meet on a runtime. */
export interface Known {
  reason: string
  /** A file that shows it without any of our code, from the root of the repository. */
  reproduction: string
  /** It depends on who is first: the question may be answered as well, and counts as a gap all the same. */
  races?: true
}

const here = 'test/runtimes/reproductions'

/** What no adapter can meet there. */
const OF_RUNTIMES: Record<string, Readonly<Record<string, Known>>> = {
  bun: {
    'dotted-targets': {
      reason:
        'Bun resolves dot segments and backslashes before any handler sees the target; the resource that is served is the one that was priced',
      reproduction: `${here}/bun-targets.js`,
    },
    'absolute-targets': {
      reason: 'Bun cuts scheme and authority off an absolute target before any handler sees it',
      reproduction: `${here}/bun-targets.js`,
    },
  },
  deno: {
    'absolute-targets': {
      reason: 'Deno shows a handler one URL, whether the target was absolute or not',
      reproduction: `${here}/deno-targets.js`,
    },
  },
  workerd: {
    'unread-body': {
      reason:
        'workerd resets a connection on which a long body was left unread, and the reset may overtake the answer',
      reproduction: `${here}/workerd-unread.js`,
      races: true,
    },
    'absolute-targets': {
      reason: 'workerd cuts scheme and authority off an absolute target before any handler sees it',
      reproduction: `${here}/workerd-targets.js`,
    },
  },
}

const OF_NEXT = Object.fromEntries(
  Object.entries(next).map(([key, reason]): [string, Known] => [
    key,
    { reason, reproduction: `packages/adapters/next/test/reproductions/${key}.ts` },
  ]),
)

/** By key of the question. */
export function expectedFailures({ adapter, runtime }: Cell): Readonly<Record<string, Known>> {
  return { ...(adapter === 'next' ? OF_NEXT : {}), ...OF_RUNTIMES[runtime] }
}

/** The reproductions of this folder, and what each runs on. */
export const REPRODUCTIONS = Object.entries(OF_RUNTIMES).flatMap(([runtime, known]) =>
  [...new Set(Object.values(known).map(({ reproduction }) => reproduction))].map((file) => ({
    runtime: runtime as Cell['runtime'],
    file,
  })),
)
