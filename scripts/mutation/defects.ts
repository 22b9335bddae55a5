import { adapters } from './defects/adapters.ts'
import { frameworks } from './defects/frameworks.ts'
import { http } from './defects/http.ts'
import { judging } from './defects/judging.ts'
import { payment } from './defects/payment.ts'
import type { Defect } from './defects/types.ts'

export type { Defect }

/** What a hand could have done wrong, by name. */
export const defects: readonly Defect[] = [...http, ...judging, ...payment, ...adapters, ...frameworks]
