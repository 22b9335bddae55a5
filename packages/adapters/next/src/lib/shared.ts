import { memoryStore, type MppOptions } from '@mppkit/server'

type Store = NonNullable<MppOptions['store']>

/** What the copies of this module have in common: Next makes one per bundle, and another at each hot reload. */
interface Shared {
  stores: Map<string, Store>
  /** The latest gates of each kind, in development. */
  latest: Map<string, Closable>
}

interface Closable {
  close(): void
}

const KEY: unique symbol = Symbol.for('mppkit.next')

function shared(): Shared {
  const holder = globalThis as { [KEY]?: Shared }
  return (holder[KEY] ??= { stores: new Map(), latest: new Map() })
}

/** The store in memory of a realm: one in a process, or what one copy of this module has seen spent would be good for another. */
export function storeOf(realm: string): Store {
  const { stores } = shared()
  let store = stores.get(realm)
  if (!store) stores.set(realm, (store = memoryStore()))
  return store
}

/** Stops the timer of the gates that a hot reload has replaced. */
export function replace(kind: string, gates: Closable): void {
  const { latest } = shared()
  latest.get(kind)?.close()
  latest.set(kind, gates)
}
