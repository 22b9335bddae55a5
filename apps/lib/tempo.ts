import { tempo } from '@mppkit/tempo/server'
import type { Seller } from './rail.ts'

/** The local chain has no euro: the second of its tokens stands in for it. */
export const TOKENS = {
  usd: '0x20c0000000000000000000000000000000000000',
  eur: '0x20c0000000000000000000000000000000000001',
} as const

/** What the local chain calls itself. */
export const CHAIN_ID = 1337

/** Addresses on the local chain. Nobody has their keys: what is paid there is gone with the chain. */
const PAYEES: Record<string, string> = Object.fromEntries(
  ['shop', 'butcher', 'smokehouse', 'hunter', 'forest'].map((name, index) => [
    name,
    `0x5e11e4${(index + 1).toString(16).padStart(34, '0')}`,
  ]),
)

/** A seller on the local chain. */
export function tempoSeller(rpcUrl: string): Seller {
  return {
    methods: [tempo.charge({ recipient: addressOf('shop'), chainId: CHAIN_ID, rpcUrl })],
    payee: addressOf,
    currency: (name) => TOKENS[name],
  }
}

/** Where a name is paid. */
export function addressOf(name: string): string {
  const address = PAYEES[name]
  if (address === undefined) throw new TypeError(`nobody is called ${name}`)
  return address
}
