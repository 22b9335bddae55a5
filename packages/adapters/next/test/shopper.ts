import { parseChallenges, type Challenge } from '@mppkit/core'
import { createToyLedger, toyWallet, type ToyForgery } from '@mppkit/testing/toy'
import { expect } from 'vitest'
import { createBuyer, type Exchange, type Got, type Raw } from '../../../testing/src/lib/buyer.ts'

// A wallet on the toy rail only signs: the money moves in the server's own ledger.
const wallet = toyWallet({ ledger: createToyLedger(), account: 'alice' })

/** A buyer of the shop. */
export interface Shopper {
  send(raw: Raw | string): Promise<Got>
  open(raw: Raw): Exchange
  /** Asks for the price. */
  quote(raw: Raw | string): Promise<Challenge>
  /** The request with what pays for it. */
  paidFor(raw: Raw | string, forgery?: ToyForgery): Promise<Raw>
  /** Asks, pays, and asks again. */
  buy(raw: Raw | string): Promise<Got>
  /** Sends the same until nobody else holds the payment. */
  insist(raw: Raw): Promise<Got>
}

export function shopperAt(url: string): Shopper {
  const buyer = createBuyer(url)
  const rawOf = (raw: Raw | string): Raw => (typeof raw === 'string' ? { target: raw } : raw)
  const shopper: Shopper = {
    send: (raw) => buyer.send(rawOf(raw)),
    open: (raw) => buyer.open(raw),
    async quote(raw) {
      const got = await shopper.send(raw)
      expect([got.status, got.text]).toEqual([402, expect.any(String)])
      const [challenge] = parseChallenges(got.all('www-authenticate')).challenges
      return challenge as Challenge
    },
    async paidFor(raw, forgery) {
      const own = rawOf(raw)
      const authorization = await wallet.pay(await shopper.quote(own), forgery)
      return { ...own, headers: [...(own.headers ?? []), ['Authorization', authorization]] }
    },
    buy: async (raw) => shopper.send(await shopper.paidFor(raw)),
    async insist(raw) {
      for (let tries = 0; ; tries += 1) {
        const got = await buyer.send(raw)
        if (![409, 503].includes(got.status) || got.get('retry-after') === null || tries > 100) return got
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    },
  }
  return shopper
}
