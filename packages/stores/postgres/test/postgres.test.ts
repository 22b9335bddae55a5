import { testStore } from '../../../testing/src/lib/test-store.ts'
import { createStores, query } from './lib/clients.ts'
import { describeWithServer, kinds } from './lib/server.ts'

describeWithServer('PostgreSQL', (server) => {
  for (const kind of kinds) {
    testStore(`postgres through ${kind}`, async () => {
      const { url } = server()
      const stores = createStores()
      const open = async () => stores.open(kind, url)
      const store = await open()
      await store.migrate()
      return {
        store,
        another: open,
        clock: 'server',
        processes: { module: new URL('./lib/open.ts', import.meta.url), options: { kind, url } },
        async interrupt() {
          await query(
            url,
            'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()',
          )
        },
        async restart() {
          await server().kill()
          await server().start()
        },
        close: () => stores.close(),
      }
    })
  }
})
