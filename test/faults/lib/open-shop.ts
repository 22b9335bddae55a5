import { createGates, type Gates } from '@mppkit/server'
import { ledgerClient } from './ledger-client.ts'
import { PRICE, railsOf } from './rails.ts'
import { filesOf, note, type Settings } from './settings.ts'
import { openStore } from './stores.ts'

/** The server of a run without a port: what a seller is after its restart. */
export async function openShop(
  settings: Settings,
): Promise<{ gates: Pick<Gates, 'recover' | 'trace' | 'unclaimed' | 'refund'>; close(): Promise<void> }> {
  const files = filesOf(settings.folder)
  const { store, close } = await openStore(settings)
  const ledger = ledgerClient(settings.ledger.port)
  const { chain } = settings
  const direct = chain ? { ...settings, chain: { ...chain, faulty: chain.url } } : settings
  const gates = createGates({
    realm: settings.realm,
    secret: settings.secret,
    store,
    methods: await railsOf(direct, ledger, () => {}),
    onError: (error, payment) =>
      note(files.errors, { seller: 'restarted', id: payment?.id, said: String(error), at: Date.now() }),
    onEvent: (event) => note(files.events, event),
  })
  // What lives longest is to be known to recovery as it was to the sellers.
  gates.charge({ amount: PRICE, lifetime: 300 })
  return {
    gates,
    async close() {
      gates.close()
      ledger.stop()
      await close()
    },
  }
}
