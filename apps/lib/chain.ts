import { formatAmount } from '@mppkit/core'
import { tempo } from '@mppkit/tempo/client'
import { startTempo } from '@mppkit/testing/anvil'
import { mnemonicToAccount, type LocalAccount } from 'viem/accounts'
import type { Rail } from './rail.ts'
import { addressOf, tempoSeller, TOKENS } from './tempo.ts'

/** A Tempo chain of its own: real transactions, no account anywhere, gone with the process. */
export async function tempoRail(): Promise<Rail> {
  const chain = await startTempo()
  const { chainId, url: rpcUrl } = chain
  return {
    name: 'tempo',
    shared: { rpcUrl },
    ...tempoSeller(rpcUrl),
    async earned(name, currency = 'usd') {
      return formatAmount(await chain.balance(addressOf(name), TOKENS[currency]), 6)
    },
    wallet: (name) => tempo.charge({ account: localAccount(name), chainId, rpcUrl }),
    close: () => chain.stop(),
  }
}

/** One of the accounts that the local chain funds; everybody knows their keys. */
export function localAccount(name: string): LocalAccount {
  return mnemonicToAccount('test test test test test test test test test test test junk', {
    addressIndex: name === 'alice' ? 0 : 1,
  })
}
