import type { App } from '../../../../../testing/src/lib/adapter-app.ts'

/** What the suite hands to the app that Next has bundled: both live in one process. */
export interface Registry {
  server: typeof import('@mppkit/server')
  /** By the value of `X-Suite-App`. */
  apps: Map<string, App>
}

const KEY: unique symbol = Symbol.for('mppkit.next.suite')
const holder = globalThis as { [KEY]?: Registry }

export const registry = (): Registry | undefined => holder[KEY]

export function register(made: Registry): Registry {
  return (holder[KEY] ??= made)
}
