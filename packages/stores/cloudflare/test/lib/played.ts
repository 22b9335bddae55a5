import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { PaymentStore, type ObjectState, type StoreNamespace } from '../../src/index.ts'

/** Durable Objects played on Node: a database in memory for each name. What the platform itself does is asked on workerd. */
export function playedNamespace(): StoreNamespace & { names: () => string[] } {
  const objects = new Map<string, PaymentStore>()
  return {
    names: () => [...objects.keys()].toSorted(),
    idFromName: (name) => name,
    get(id) {
      const name = String(id)
      const object = objects.get(name) ?? new PaymentStore(playedState())
      objects.set(name, object)
      return { fetch: (url, { method, body }) => object.fetch(new Request(url, { method, body })) }
    },
  }
}

function playedState(): ObjectState {
  const database = new DatabaseSync(':memory:')
  return {
    storage: {
      sql: {
        exec(query, ...bindings) {
          // Only what makes the tables is more than one statement.
          if (bindings.length > 0 || query.startsWith('SELECT')) {
            const rows = database.prepare(query).all(...(bindings as SQLInputValue[]))
            return { toArray: () => rows }
          }
          database.exec(query)
          return { toArray: () => [] }
        },
      },
      transactionSync(work) {
        database.exec('SAVEPOINT played')
        try {
          const result = work()
          database.exec('RELEASE played')
          return result
        } catch (error) {
          database.exec('ROLLBACK TO played; RELEASE played')
          throw error
        }
      },
    },
  }
}
