import type { Money } from '@mppkit/core'
import type { Refusal } from './offer.ts'
import { units, type Limit } from './policy.ts'

/** Money set aside for one payment. */
export interface Hold {
  /** It is spent, or may be: nothing gives it back. Never rejects. */
  commit(): Promise<void>
  /** It certainly did not move and never will. Without effect after `commit`. Never rejects. */
  release(): Promise<void>
}

/** What was spent in the windows of a limit. A hold that is neither committed nor released counts as spent. */
export interface Budget {
  /** Why `reserve` would refuse now. Reserves nothing. */
  check(limit: Limit, cost: Money): Promise<Refusal | undefined>
  /** Checks and sets aside in one step. */
  reserve(limit: Limit, cost: Money): Promise<Hold | Refusal>
}

interface Account {
  decimals: number
  total: bigint
  /** Spent per minute since the epoch. A minute leaves a window when all of it has left. */
  minutes: Map<number, bigint>
}

const windows = [
  ['perHour', 60, 'hour'],
  ['perDay', 1440, 'day'],
] as const

/** A budget that lives as long as this process. `now` gives Unix milliseconds. */
export function memoryBudget(now: () => number): Budget {
  const accounts = new Map<string, Account>()

  function refusal(limit: Limit, cost: Money): Refusal | undefined {
    const account = accounts.get(limit.currency)
    if (account && account.decimals !== cost.decimals)
      return {
        code: 'currency',
        detail: `${limit.currency} had ${account.decimals} decimals before, now ${cost.decimals}`,
      }
    const above = (spent: bigint, most: string | undefined) =>
      most !== undefined && spent + cost.amount > units(most, cost.decimals)
    for (const [name, length, word] of windows)
      if (above(account ? since(account, minute(now()) - length) : 0n, limit[name]))
        return { code: 'budget', detail: `${limit[name]} ${limit.currency} per ${word} is used up` }
    if (above(account?.total ?? 0n, limit.total))
      return { code: 'budget', detail: `${limit.total} ${limit.currency} in total is used up` }
    return undefined
  }

  return {
    check: async (limit, cost) => refusal(limit, cost),
    async reserve(limit, cost) {
      const refused = refusal(limit, cost)
      if (refused) return refused
      const account = accounts.get(limit.currency) ?? {
        decimals: cost.decimals,
        total: 0n,
        minutes: new Map(),
      }
      accounts.set(limit.currency, account)
      const at = minute(now())
      for (const old of account.minutes.keys()) if (old < at - 1440) account.minutes.delete(old)
      let open = true
      const add = (change: bigint) => {
        account.total += change
        // A minute that has left all windows must not come back below zero.
        if (change > 0n || account.minutes.has(at))
          account.minutes.set(at, (account.minutes.get(at) ?? 0n) + change)
      }
      const { amount } = cost
      add(amount)
      return {
        async commit() {
          open = false
        },
        async release() {
          if (open) add(-amount)
          open = false
        },
      }
    },
  }
}

function minute(time: number): number {
  return Math.floor(time / 60_000)
}

function since(account: Account, first: number): bigint {
  let sum = 0n
  for (const [at, amount] of account.minutes) if (at >= first) sum += amount
  return sum
}
