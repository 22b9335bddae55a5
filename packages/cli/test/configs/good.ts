import { createToyLedger, toyMethod } from '../../../testing/src/toy.ts'

const { volatile: _, ...lasting } = (await import('@mppkit/server')).memoryStore()

/** As a seller would export it. */
export const options = {
  realm: 'photos.example',
  secret: 'Zk4q9vXy2LrT8mWc1NfB7hJd5PsG3uEa',
  methods: [
    { ...toyMethod({ ledger: createToyLedger(), recipient: 'shop' }), name: 'rail', mode: 'live' as const },
  ],
  store: lasting,
  origin: 'https://photos.example',
  trustProxy: 1,
}
