import type { Money } from '@mppkit/core'
import { units, type Limit } from './policy.ts'
import { refusal, type Refusal } from './refusal.ts'

/** Money set aside for one payment. */
export interface Hold {
  /** It certainly did not move and never will. Never rejects. */
  release(): Promise<void>
}

/** What was spent in the windows of a limit. A hold that is not released counts as spent. */
export interface Budget {
  /** Why `reserve` would refuse now. Reserves nothing. */
  check(limit: Limit, cost: Money): Promise<Refusal | undefined>
  /** Checks and sets aside in one step. */
  reserve(limit: Limit, cost: Money): Promise<Hold | Refusal>
}

interface Account {
  decimals: number
  /** Spent per minute since the epoch; what is older than a day is in minute 0. */
  minutes: Map<number, bigint>
}

/** Each in minutes. A minute leaves a window when all of it has left. */
const windows = { perHour: 60, perDay: 1440, total: Infinity }

/** A budget that lives as long as this process. `now` gives Unix milliseconds. */
export function memoryBudget(now: () => number): Budget {
  const accounts = new Map<string, Account>()
  const minute = () => Math.floor(now() / 60_000)

  function refused(limit: Limit, { amount, decimals }: Money): Refusal | undefined {
    const { currency } = limit
    const account = accounts.get(currency)
    if (account && account.decimals !== decimals)
      return refusal('currency', `${currency} with ${decimals} decimals, not ${account.decimals}`)
    for (const [name, length] of Object.entries(windows)) {
      const most = limit[name as keyof typeof windows]
      if (most === undefined) continue
      let sum = amount
      for (const [at, spent] of account?.minutes ?? []) if (at >= minute() - length) sum += spent
      if (sum > units(most, decimals)) return refusal('budget', `${name} of ${most} ${currency} is used up`)
    }
    return undefined
  }

  return {
    check: async (limit, cost) => refused(limit, cost),
    async reserve(limit, cost) {
      const reason = refused(limit, cost)
      if (reason) return reason
      const { amount, decimals } = cost
      const account = accounts.get(limit.currency) ?? { decimals, minutes: new Map<number, bigint>() }
      accounts.set(limit.currency, account)
      const { minutes } = account
      const add = (at: number, change: bigint) => minutes.set(at, (minutes.get(at) ?? 0n) + change)
      const at = minute()
      for (const [old, spent] of minutes)
        if (old && old < at - windows.perDay) {
          minutes.delete(old)
          add(0, spent)
        }
      add(at, amount)
      let held = amount
      return {
        async release() {
          add(minutes.has(at) ? at : 0, -held)
          held = 0n
        },
      }
    },
  }
}
