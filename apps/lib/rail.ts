import type { ClientMethod, OnceMethod } from '@mppkit/core'
import type { ToyLedger } from '@mppkit/testing/toy'
import { toyRail } from './toy.ts'

/** What the example apps can be paid on without an account anywhere. */
export type RailName = 'toy' | 'tempo'

export type Currency = 'usd' | 'eur'

/** What a seller needs of a rail; one of your own would write `methods: [tempo.charge({ recipient })]`. */
export interface Seller {
  /** For `createMpp`. */
  readonly methods: readonly OnceMethod<never>[]
  /** How this rail calls somebody who is paid. */
  payee(name: string): string
  /** How this rail calls a currency. */
  currency(name: Currency): string
}

/** Where the money is. */
export interface Shared {
  ledger?: ToyLedger
  rpcUrl?: string
}

/** A rail for the examples, with what their tests look at. */
export interface Rail extends Seller {
  readonly name: RailName
  /** For a copy of this code that something else has loaded. */
  readonly shared: Shared
  /** What a payee has, in whole units; the toy ledger does not tell currencies apart. */
  earned(name: string, currency?: Currency): Promise<string>
  /** A funded buyer, for `createClient`. */
  wallet(name: 'alice' | 'bob'): ClientMethod
  close(): Promise<void>
}

/** Opens a rail; the chain is loaded only if it is asked for. Rejects when it does not come up. */
export async function openRail(name: RailName): Promise<Rail> {
  if (name === 'toy') return toyRail()
  const { tempoRail } = await import('./chain.ts')
  return tempoRail()
}
