import type { Entry, Store } from '@mppkit/core'

/** A movement of toy money that has happened. */
export interface ToyTransfer {
  /** Names the movement: it happens once, however often it is ordered. */
  id: string
  from: string
  to: string
  amount: bigint
  /** Unix milliseconds, by the ledger's clock. */
  at: number
  memo?: string
}

/** A movement of toy money as it is ordered. */
export interface ToyOrder {
  id: string
  from: string
  to: string
  amount: bigint
  /** Unix seconds after which the ledger refuses. */
  until?: number
  memo?: string
}

/** The ledger will never carry out this order: no funds, too late, or declared void. */
export class ToyRefusal extends Error {
  override readonly name = 'ToyRefusal'
  readonly reason: 'funds' | 'late' | 'void'
  constructor(reason: ToyRefusal['reason']) {
    super(`the toy ledger refuses: ${reason}`)
    this.reason = reason
  }
}

/** Accounts with balances in base units, and the transfers between them. */
export interface ToyLedger {
  /** Unix milliseconds. */
  now(): number
  fund(account: string, amount: bigint): Promise<void>
  balance(account: string): Promise<bigint>
  /** Moves money once per id; a repeated order gives the first transfer. Rejects with `ToyRefusal`, for that id for ever. */
  transfer(order: ToyOrder): Promise<ToyTransfer>
  /** What has become of an order; undefined: nothing so far. */
  find(id: string, from: string): Promise<ToyTransfer | 'void' | undefined>
  /** Makes sure that an order that has not moved money never will. Resolves with the transfer if it was too late. */
  cancel(id: string, from: string): Promise<ToyTransfer | 'void'>
  /** All transfers, oldest first. */
  transfers(): Promise<ToyTransfer[]>
}

/**
 * A ledger of toy money: in memory, or in a store that several processes share.
 *
 * @param options.now The ledger's clock in Unix milliseconds.
 */
export function createToyLedger(options: { store?: Store; now?: () => number } = {}): ToyLedger {
  const now = options.now ?? (() => Date.now())
  return options.store ? storedLedger(options.store, now) : memoryLedger(now)
}

function memoryLedger(now: () => number): ToyLedger {
  const balances = new Map<string, bigint>()
  const outcomes = new Map<string, ToyTransfer | ToyRefusal>()

  function add(account: string, amount: bigint): void {
    balances.set(account, (balances.get(account) ?? 0n) + amount)
  }

  return {
    now,
    async fund(account, amount) {
      add(account, amount)
    },
    async balance(account) {
      return balances.get(account) ?? 0n
    },
    async transfer(order) {
      let outcome = outcomes.get(order.id)
      if (outcome === undefined) {
        outcome = decide(order, balances.get(order.from) ?? 0n, now())
        outcomes.set(order.id, outcome)
        if (!(outcome instanceof ToyRefusal)) {
          add(order.from, -order.amount)
          add(order.to, order.amount)
        }
      }
      if (outcome instanceof ToyRefusal) throw outcome
      return outcome
    },
    async find(id) {
      const outcome = outcomes.get(id)
      return outcome instanceof ToyRefusal ? 'void' : outcome
    },
    async cancel(id) {
      const outcome = outcomes.get(id)
      if (outcome !== undefined && !(outcome instanceof ToyRefusal)) return outcome
      outcomes.set(id, outcome ?? new ToyRefusal('void'))
      return 'void'
    },
    async transfers() {
      return [...outcomes.values()].flatMap((outcome) => (outcome instanceof ToyRefusal ? [] : outcome))
    },
  }
}

function decide(order: ToyOrder, balance: bigint, now: number): ToyTransfer | ToyRefusal {
  if (order.until !== undefined && now > order.until * 1000) return new ToyRefusal('late')
  if (balance < order.amount) return new ToyRefusal('funds')
  const { id, from, to, amount, memo } = order
  return { id, from, to, amount, at: now, ...(memo === undefined ? {} : { memo }) }
}

const ACCOUNTS = 'toy:accounts'
const TRANSFERS = 'toy:transfers'

/** What is kept of an order; `amount` absent: it was refused. */
interface Stored {
  id: string
  from: string
  to?: string
  amount?: string
  at: number
  memo?: string
  refused?: ToyRefusal['reason']
}

/** `own` is what was put in minus what went out; what came in is summed up from the transfers. */
interface Account {
  own: bigint
  last?: Stored
}

/**
 * The swap of the payer's account is the movement: it takes the money and names the order in one write. The transfer's
 * own entry is copied from there, at the latest by the next order of that account, so a process may die anywhere.
 */
function storedLedger(store: Store, now: () => number): ToyLedger {
  async function accountOf(name: string): Promise<{ account: Account; version: string }> {
    const entry = await store.get(`toy:account:${name}`)
    return entry
      ? { account: readAccount(entry), version: entry.version }
      : { account: { own: 0n }, version: 'absent' }
  }

  async function replace(name: string, version: string, { own, last }: Account): Promise<boolean> {
    const value = JSON.stringify({ own: own.toString(), last })
    const write = { value, ttl: 'forever' as const, due: { queue: ACCOUNTS, in: 0 } }
    return (await store.swap(`toy:account:${name}`, version, write)).ok
  }

  async function copy(stored: Stored): Promise<void> {
    const write = { value: JSON.stringify(stored), ttl: 'forever' as const, due: { queue: TRANSFERS, in: 0 } }
    await store.swap(`toy:transfer:${stored.id}`, 'absent', write)
  }

  async function known(id: string): Promise<Stored | undefined> {
    const entry = await store.get(`toy:transfer:${id}`)
    return entry && (JSON.parse(entry.value) as Stored)
  }

  /** Decides the fate of an order once; `choose` sees the balance. */
  async function conclude(
    id: string,
    from: string,
    choose: (account: Account) => Promise<Stored>,
  ): Promise<Stored> {
    for (;;) {
      const { account, version } = await accountOf(from)
      if (account.last) await copy(account.last)
      if (account.last?.id === id) return account.last
      const earlier = await known(id)
      if (earlier) return earlier
      const last = await choose(account)
      if (!(await replace(from, version, { own: account.own - BigInt(last.amount ?? 0), last }))) continue
      await copy(last)
      return last
    }
  }

  async function all(): Promise<ToyTransfer[]> {
    const stored = new Map<string, Stored>()
    for (const entry of await listed(store, TRANSFERS)) add(JSON.parse(entry.value) as Stored)
    for (const entry of await listed(store, ACCOUNTS)) add(readAccount(entry).last)
    return [...stored.values()].flatMap((one) => toTransfer(one) ?? []).toSorted((a, b) => a.at - b.at)

    function add(one: Stored | undefined): void {
      if (one) stored.set(one.id, one)
    }
  }

  async function received(name: string): Promise<bigint> {
    let sum = 0n
    for (const transfer of await all()) if (transfer.to === name) sum += transfer.amount
    return sum
  }

  return {
    now,
    async fund(name, amount) {
      for (;;) {
        const { account, version } = await accountOf(name)
        if (await replace(name, version, { ...account, own: account.own + amount })) return
      }
    },
    async balance(name) {
      return (await accountOf(name)).account.own + (await received(name))
    },
    async transfer(order) {
      const stored = await conclude(order.id, order.from, async ({ own }) => {
        const funds = own >= order.amount ? own : own + (await received(order.from))
        return toStored(order, decide(order, funds, now()), now())
      })
      const transfer = toTransfer(stored)
      if (!transfer) throw new ToyRefusal(stored.refused ?? 'void')
      return transfer
    },
    async find(id, from) {
      const { last } = (await accountOf(from)).account
      const stored = last?.id === id ? last : await known(id)
      return stored && (toTransfer(stored) ?? 'void')
    },
    async cancel(id, from) {
      const stored = await conclude(id, from, async () => ({ id, from, at: now(), refused: 'void' }))
      return toTransfer(stored) ?? 'void'
    },
    transfers: all,
  }
}

function readAccount(entry: Entry): Account {
  const { own, last } = JSON.parse(entry.value) as { own: string; last?: Stored }
  return { own: BigInt(own), ...(last && { last }) }
}

function toStored(order: ToyOrder, outcome: ToyTransfer | ToyRefusal, at: number): Stored {
  if (outcome instanceof ToyRefusal) return { id: order.id, from: order.from, at, refused: outcome.reason }
  return { ...outcome, amount: outcome.amount.toString() }
}

function toTransfer({ id, from, to, amount, at, memo }: Stored): ToyTransfer | undefined {
  if (to === undefined || amount === undefined) return undefined
  return { id, from, to, amount: BigInt(amount), at, ...(memo === undefined ? {} : { memo }) }
}

async function listed(store: Store, queue: string): Promise<Entry[]> {
  const entries: Entry[] = []
  for (;;) {
    const page = await store.due(queue, 500, entries.at(-1))
    entries.push(...page)
    if (page.length < 500) return entries
  }
}
