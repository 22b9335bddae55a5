import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FaultPoint } from '@mppkit/server'
import { sqliteStore } from '@mppkit/sqlite'
import { createToyLedger } from '@mppkit/testing/toy'
import type { ToyOptions } from '@mppkit/testing/toy'
import { PRICE, seller, type Ask, type Handled, type Seller } from './harness.ts'

/** What is sold, and on what kind of rail. */
export interface Trade {
  toy?: Partial<ToyOptions>
  attempts?: number
  status?: number
  /** The buyer sends an Idempotency-Key. */
  key?: boolean
}

export const TRADES = {
  parse: {},
  settle: { toy: { notes: 'settle' }, key: true },
  refund: { toy: { canRefund: true }, attempts: 1, status: 500 },
  push: { toy: { moves: 'before' } },
} satisfies Record<string, Trade>

export type TradeName = keyof typeof TRADES

/** The named points of the server, and of the toy rail: before and after the ledger moves. */
export type Point =
  | FaultPoint
  | 'broadcast-sent'
  | 'broadcast-acked'
  | 'refund-broadcast-sent'
  | 'refund-broadcast-acked'

/** A seller whose payments, ledger, clock and count of starts live in one folder, so that several processes can be it. */
export interface Counter extends Seller {
  gate: ReturnType<Seller['charge']>
  handler(): Handled
  starts(): number
  advance(ms: number): void
  ask(): Ask
}

export function openCounter(
  folder: string,
  name: TradeName,
  reach: (point: Point) => void | Promise<void> = () => {},
): Counter {
  const { toy, attempts = 3, status = 200 }: Trade = TRADES[name]
  const now = (): number => Date.now() + offsetIn(folder)
  const store = sqliteStore({ path: join(folder, 'payments.db'), now })
  const books = createToyLedger({ store, now })
  const ledger: typeof books = {
    ...books,
    async transfer(order) {
      const prefix = order.from === 'shop' ? 'refund-' : ''
      await reach(`${prefix}broadcast-sent`)
      const done = await books.transfer(order)
      await reach(`${prefix}broadcast-acked`)
      return done
    },
  }
  const shop = seller({ store, ledger, now, toy: toy ?? {}, probe: reach })
  const log = join(folder, 'starts')
  return {
    ...shop,
    gate: shop.charge({ ...PRICE, redeem: { attempts } }),
    handler() {
      appendFileSync(log, '.')
      return { status, body: status === 200 ? 'content' : 'sorry', reached: 'all' }
    },
    starts: () => (existsSync(log) ? readFileSync(log, 'utf8').length : 0),
    advance: (ms) => writeFileSync(join(folder, 'clock'), String(offsetIn(folder) + ms)),
    ask: () => JSON.parse(readFileSync(join(folder, 'ask'), 'utf8')) as Ask,
    close() {
      shop.close()
      void store.close?.()
    },
  }
}

function offsetIn(folder: string): number {
  const file = join(folder, 'clock')
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0
}
