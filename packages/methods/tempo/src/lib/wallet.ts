import { formatAmount, PaymentError, type ClientContext } from '@mppkit/core'
import type { Hex } from './address.ts'
import { balanceCall, currencyCall, isUsd, returnedWord } from './calls.ts'
import { feeOf } from './fees.ts'
import { RpcError, type Rpc } from './rpc.ts'

/** What is about to be signed. */
export interface Outlay {
  currency: Hex
  amount: bigint
  gas: bigint
  /** The token that the fee is paid in, unless somebody else pays it. */
  paying: Hex | undefined
}

export interface Fees {
  maxFeePerGas: bigint
  maxPriorityFeePerGas: bigint
  /** A block that lies before anything signed now; undefined where the node did not say. */
  fromBlock: Hex | undefined
}

/** What is known of the account and of the chain. */
export interface Wallet {
  /**
   * The fees to sign with; throws `PaymentError` if the account cannot pay. Asks the node once a minute, and
   * whenever what was known does not suffice.
   */
  reserve(outlay: Outlay, context: ClientContext): Promise<Fees>
}

interface View {
  at: number
  baseFee: bigint
  block: Hex | undefined
  /** Base units left, what was signed since deducted; absent where the node cannot say. */
  balances: Map<Hex, bigint>
}

/** Milliseconds for which a look is good. */
const fresh = 60_000

/** Attodollars per gas: what the chain asks by its rules, for nodes that do not say. */
const usualBaseFee = 20_000_000_000n

export function createWallet(rpc: Rpc, payer: Hex, limits: { maxFeePerGas: bigint; tip: bigint }): Wallet {
  const { maxFeePerGas, tip } = limits
  let view: View | undefined
  const usd = new Set<Hex>()

  async function reserve(outlay: Outlay, context: ClientContext): Promise<Fees> {
    // By our own clock: `context.now` follows what some server says.
    const age = view === undefined ? -1 : Date.now() - view.at
    const isFresh = age >= 0 && age <= fresh
    if (!isFresh || !covers(view!, needsOf(outlay, view!))) view = await look(outlay, context)
    const known = view!
    for (const [token, need] of needsOf(outlay, known)) {
      const left = known.balances.get(token)
      if (left === undefined) continue
      if (left < need) {
        const [has, wants] = [left, need].map((units) => formatAmount(units, 6))
        throw new PaymentError(
          'tempo/insufficient-funds',
          `Account ${payer} has ${has} of ${token}; this payment may take ${wants}.`,
        )
      }
      known.balances.set(token, left - need)
    }
    return { maxFeePerGas: priceOf(known.baseFee), maxPriorityFeePerGas: tip, fromBlock: known.block }
  }

  function needsOf({ currency, amount, gas, paying }: Outlay, { baseFee }: View): Map<Hex, bigint> {
    const needs = new Map([[currency, amount]])
    if (paying !== undefined) needs.set(paying, (needs.get(paying) ?? 0n) + feeOf(gas, priceOf(baseFee)))
    return needs
  }

  /** Twice the base fee, so that it may rise while the transaction waits. */
  function priceOf(baseFee: bigint): bigint {
    if (baseFee + tip > maxFeePerGas) {
      throw new PaymentError(
        'tempo/fee-too-high',
        `The chain asks ${baseFee} per gas, more than maxFeePerGas allows.`,
      )
    }
    const price = 2n * baseFee + tip
    return price < maxFeePerGas ? price : maxFeePerGas
  }

  /** Base fee, balances and what the fee token stands for, in one call. */
  async function look({ currency, paying }: Outlay, context: ClientContext): Promise<View> {
    const tokens = [...new Set([currency, paying ?? currency])]
    const unchecked = paying !== undefined && !usd.has(paying) ? paying : undefined
    const calls = tokens.map((token) => balanceCall(token, payer))
    if (unchecked !== undefined) calls.push(currencyCall(unchecked))
    const block = { calls: calls.map(({ to, data }) => ({ to, input: data })) }
    let answer: unknown
    try {
      answer = await rpc('eth_simulateV1', [{ blockStateCalls: [block] }, 'latest'], {
        signal: context.signal,
      })
    } catch (error) {
      if (error instanceof RpcError) return feesOnly(context)
      throw error
    }
    const simulated = (
      answer as {
        baseFeePerGas?: string
        number?: string
        calls?: { status?: string; returnData?: string }[]
      }[]
    )?.[0]
    const results = simulated?.calls
    if (!Array.isArray(results) || results.length !== calls.length) return feesOnly(context)
    if (unchecked !== undefined) {
      if (!isUsd(results.at(-1)?.returnData)) {
        throw new PaymentError(
          'tempo/fee-token',
          `Fees cannot be paid in ${unchecked}, which is no USD token: set feeToken.`,
        )
      }
      usd.add(unchecked)
    }
    const balances = new Map<Hex, bigint>()
    tokens.forEach((token, i) => balances.set(token, returnedWord(results[i]?.returnData, 0) ?? 0n))
    const number = simulated?.number === undefined ? 0n : BigInt(simulated.number)
    return {
      at: Date.now(),
      // Nodes may simulate without a base fee.
      baseFee: BigInt(simulated?.baseFeePerGas ?? 0) || usualBaseFee,
      block: number > 0n ? `0x${(number - 1n).toString(16)}` : undefined,
      balances,
    }
  }

  async function feesOnly(context: ClientContext): Promise<View> {
    const history = (await rpc('eth_feeHistory', ['0x1', 'latest', []], { signal: context.signal })) as
      | { baseFeePerGas?: string[]; oldestBlock?: Hex }
      | undefined
    const baseFee = BigInt(history?.baseFeePerGas?.at(-1) ?? 0) || usualBaseFee
    return { at: Date.now(), baseFee, block: history?.oldestBlock, balances: new Map() }
  }

  return { reserve }
}

/** Whether all that is known suffices; what is not known does not count against it. */
function covers(view: View, needs: Map<Hex, bigint>): boolean {
  if (view.balances.size === 0) return true
  return [...needs].every(([token, need]) => (view.balances.get(token) ?? -1n) >= need)
}
