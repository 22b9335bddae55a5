import { formatAmount } from '@mppkit/core'
import { createToyLedger, toyMethod, toyWallet, type ToyLedger } from '@mppkit/testing/toy'
import type { Rail } from './rail.ts'

/** The toy rail: a ledger in memory, on which alice and bob are rich. Neutral, so that it also runs in a Worker. */
export function toyRail(ledger: ToyLedger = richLedger()): Rail {
  return {
    name: 'toy',
    shared: { ledger },
    methods: [toyMethod({ ledger, recipient: 'shop', canRefund: true })],
    payee: (name) => name,
    currency: (name) => name,
    async earned(name) {
      return formatAmount(await ledger.balance(name), 2)
    },
    wallet: (name) => toyWallet({ ledger, account: name }),
    async close() {},
  }
}

function richLedger(): ToyLedger {
  const ledger = createToyLedger()
  for (const account of ['alice', 'bob']) void ledger.fund(account, 1_000_000n)
  return ledger
}
