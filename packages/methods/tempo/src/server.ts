import { charge } from './lib/charge/server.ts'

export type { ChargeOptions, ChargeOverride, Refunder, Split, Sponsor } from './lib/charge/server.ts'
export type { Mode } from './lib/charge/wire.ts'

/** What a seller can take on Tempo. */
export const tempo = { charge } as const
