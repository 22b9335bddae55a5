import { charge } from './lib/charge/client.ts'

export type { ChargeOptions } from './lib/charge/client.ts'
export type { SigningAccount } from './lib/account.ts'
export type { Mode } from './lib/charge/wire.ts'

/** How a buyer can pay on Tempo. */
export const tempo = { charge } as const
