import type { Hex } from './address.ts'
import { lower } from './address.ts'
import type { Leg, Transfer } from './transfers.ts'

/** One call of a transaction. */
export interface Call {
  to?: string | undefined
  data?: string | undefined
  value?: bigint | undefined
}

const transfer = '0xa9059cbb'
const transferWithMemo = '0x95777d59'
const approve = '0x095ea7b3'
/** `swapExactAmountOut(address tokenIn, address tokenOut, uint128 amountOut, uint128 maxAmountIn)` */
const swap = '0xf0122b75'

/** The exchange of the chain, where a payer may first buy what is asked for. */
const exchange: Hex = '0xdec0000000000000000000000000000000000000'

/** The registry of access keys. */
const registry: Hex = '0xaaaaaaaa00000000000000000000000000000000'

/** The call that makes a transfer. */
export function transferCall(currency: Hex, leg: Leg): { to: Hex; data: Hex } {
  const words = `${word(leg.recipient)}${number(leg.amount)}`
  const data: Hex =
    leg.memo === undefined ? `${transfer}${words}` : `${transferWithMemo}${words}${leg.memo.slice(2)}`
  return { to: currency, data }
}

/**
 * The transfers that a transaction's calls make, or undefined if one of them does anything else.
 * Calldata must be exactly what the two transfer functions take: the chain overlooks trailing bytes and
 * dirty address words, a decoder may read them differently.
 */
export function readCalls(calls: readonly Call[], currency: Hex): Transfer[] | undefined {
  const found: Transfer[] = []
  for (const { to, data, value } of calls) {
    //
    if (to === undefined || data === undefined || value || lower(to) !== currency) return undefined
    const match = /^(0x[0-9a-f]{8})0{24}([0-9a-f]{40})([0-9a-f]{64})([0-9a-f]{64})?$/.exec(data)
    if (!match) return undefined
    const [, selector, recipient, amount, memo] = match
    //
    if (selector !== (memo === undefined ? transfer : transferWithMemo)) return undefined
    const made: Transfer = { recipient: `0x${recipient!}`, amount: BigInt(`0x${amount!}`) }
    if (memo !== undefined) made.memo = `0x${memo}`
    found.push(made)
  }
  return found
}

/**
 * Takes off the two calls by which a payer buys `amount` of `currency` with another token: an approval of
 * the exchange and a purchase, both for the same at most. Other calls come back untouched.
 */
export function withoutSwap(calls: readonly Call[], currency: Hex, amount: bigint): readonly Call[] {
  const [first, second, ...rest] = calls
  if (!first?.data?.startsWith(approve) || !second?.data?.startsWith(swap)) return calls
  const most = second.data.slice(-64)
  const token = lower(first.to ?? '')
  const bought = `${swap}${word(token)}${word(currency)}${number(amount)}${most}`
  const plain = !first.value && !second.value && token !== currency && lower(second.to ?? '') === exchange
  if (!plain || first.data !== `${approve}${word(exchange)}${most}` || second.data !== bought) return calls
  return rest
}

/** `balanceOf(address)` */
export function balanceCall(token: Hex, account: Hex): { to: Hex; data: Hex } {
  return { to: token, data: `0x70a08231${word(account)}` }
}

/** `currency()`, the ISO code that a token stands for. */
export function currencyCall(token: Hex): { to: Hex; data: Hex } {
  return { to: token, data: '0xe5a6b10f' }
}

/** `getKey(address account, address keyId)` of the key registry. */
export function keyCall(account: Hex, key: Hex): { to: Hex; data: Hex } {
  return { to: registry, data: `0xbc298553${word(account)}${word(key)}` }
}

/** `getRemainingLimitWithPeriod(address account, address keyId, address token)` of the key registry. */
export function keyLimitCall(account: Hex, key: Hex, token: Hex): { to: Hex; data: Hex } {
  return { to: registry, data: `0xa7f72cab${word(account)}${word(key)}${word(token)}` }
}

/** `getAllowedCalls(address account, address keyId)` of the key registry. */
export function keyScopeCall(account: Hex, key: Hex): { to: Hex; data: Hex } {
  return { to: registry, data: `0x0163e7ec${word(account)}${word(key)}` }
}

/** The n-th 32-byte word of what a call returned; undefined if it returned less. */
export function returnedWord(data: unknown, n: number): bigint | undefined {
  if (typeof data !== 'string') return undefined
  const digits = data.slice(2 + 64 * n, 66 + 64 * n)
  return /^[0-9a-fA-F]{64}$/.test(digits) ? BigInt(`0x${digits}`) : undefined
}

/** Whether what `currency()` returned is the string "USD": fees are paid in tokens of it only. */
export function isUsd(returned: unknown): boolean {
  return returnedWord(returned, 1) === 3n && (returned as string).slice(130, 136) === '555344'
}

function word(address: string): string {
  return address.slice(2).toLowerCase().padStart(64, '0')
}

function number(value: bigint): string {
  return value.toString(16).padStart(64, '0')
}
