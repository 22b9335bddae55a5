/** A connection, as Node shows it. */
interface Connection {
  once?(event: 'close', listener: () => void): unknown
}

const waiting = new WeakMap<Connection, Set<() => void>>()

/**
 * Calls back when a connection is gone. Up to Node 22 only the answer whose turn it is hears of that from Node, and not
 * those to requests that were sent behind it without waiting. One listener per connection, however many are waiting.
 * @returns ends it
 */
export function onceClosed(connection: Connection | null | undefined, listener: () => void): () => void {
  if (typeof connection?.once !== 'function') return () => undefined
  let listeners = waiting.get(connection)
  if (!listeners) {
    const all = new Set<() => void>()
    waiting.set(connection, (listeners = all))
    connection.once('close', () => {
      for (const each of all) each()
    })
  }
  const held = listeners.add(listener)
  return () => void held.delete(listener)
}
