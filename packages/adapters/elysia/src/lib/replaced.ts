import type { Answering } from './sending.ts'

export const REMEDY =
  'Put the gate around the route: app.guard(mpp.charge(…), (app) => app.get(path, handler, { beforeHandle }))'

/** The programmer's fault of spreading a gate beside a hook of the route's own, which is then the only one of its kind. */
export function replaced(): TypeError {
  return new TypeError(
    'mppkit: the options of a guarded route have their own beforeHandle or afterResponse, which replaced that of the ' +
      `gate. ${REMEDY}`,
  )
}

/** How long after an answer of the gate, in milliseconds, the hook that follows every answer is missed. */
const PATIENCE = 1000

/** Finds out that `afterResponse` was replaced: nothing shows that it is there until it is called. */
interface Sentry {
  /** Throws when it was missed. */
  check(): void
  /** The gate has answered. */
  expect(context: Answering): void
  /** It was called. */
  met(): void
}

export function sentry(): Sentry {
  let isMet = false
  let isMissed = false
  return {
    check() {
      if (isMissed && !isMet) throw replaced()
    },
    expect(context) {
      if (isMet) return
      const { error } = context
      // Nor is it called when another hook has failed after the gate.
      const miss = (): void => void (isMissed ||= context.error === error)
      // Once more around, so that whatever was due meanwhile has run.
      const timer = setTimeout(() => void setTimeout(miss, 0), PATIENCE)
      ;(timer as { unref?(): void }).unref?.()
    },
    met: () => void (isMet = true),
  }
}
