import { lower, type Hex } from './address.ts'
import { isTagged } from './memo.ts'

/** A transfer that has to happen. */
export interface Leg {
  recipient: Hex
  amount: bigint
  /** What the transfer must carry; without it the transfer is free to carry one. */
  memo?: Hex
}

/** A transfer that was signed, or that happened. All hex in lower case. */
export interface Transfer extends Leg {
  from?: Hex
}

/** One event of a receipt, as the node tells it. */
export interface Log {
  address: string
  topics: string[]
  data: string
  logIndex?: string
  blockTimestamp?: string | number
}

const transferTopic = '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef'
/** `TransferWithMemo(address,address,uint256,bytes32)` */
export const memoTopic = '0x57bc7354aa85aed339e000bccffabbc529466af35f0772c8f8ee1145927de7f0'

/**
 * The transfers of one token that a receipt tells of.
 * `transferWithMemo` emits `Transfer` and right after it `TransferWithMemo`: that pair is one payment, not two.
 */
export function readTransfers(logs: readonly Log[], currency: Hex): Transfer[] {
  const found: Transfer[] = []
  let open: Transfer | undefined
  for (const log of logs) {
    const before = open
    open = undefined
    const [topic, from, to, memo] = log.topics.map(lower)
    //
    if (lower(log.address) !== currency || from === undefined || to === undefined) continue
    if (!/^0x[0-9a-fA-F]{64}$/.test(log.data)) continue
    const transfer: Transfer = { from: addressOf(from), recipient: addressOf(to), amount: BigInt(log.data) }
    if (topic === transferTopic) {
      found.push(transfer)
      open = transfer
    } else if (topic === memoTopic && memo !== undefined && before) {
      const same =
        before.from === transfer.from &&
        before.recipient === transfer.recipient &&
        before.amount === transfer.amount
      //
      if (same) before.memo = memo
    }
  }
  return found
}

/**
 * Pays every leg from a transfer of its own: `first` is what paid the first leg, `spare` what paid none.
 * Undefined if a leg is left over. Amounts must be equal to the unit.
 * The first leg, unless its memo is prescribed, takes a transfer whose memo is `own` before one without memo, and no other;
 * memos that bind a payment to some challenge are good for nothing else.
 */
export function matchLegs(
  found: readonly Transfer[],
  legs: readonly [Leg, ...Leg[]],
  own: (memo: Hex) => boolean,
): { first: Transfer; spare: Transfer[] } | undefined {
  const spare = [...found]
  const take = (leg: Leg, fits: (memo: Hex | undefined) => boolean): Transfer | undefined => {
    const i = spare.findIndex(
      //
      (it) => it.recipient === leg.recipient && it.amount === leg.amount && fits(it.memo),
    )
    //
    return i < 0 ? undefined : spare.splice(i, 1)[0]
  }
  const [primary, ...splits] = legs
  // What is prescribed goes first, so that a leg that takes anything cannot use up the only transfer that would do.
  let first: Transfer | undefined
  for (const leg of legs) {
    if (leg.memo === undefined) continue
    //
    const taken = take(leg, (memo) => memo === leg.memo)
    if (!taken) return undefined
    //
    if (leg === primary) first = taken
  }
  first ??=
    //
    take(primary, (memo) => memo !== undefined && own(memo)) ?? take(primary, (memo) => memo === undefined)
  if (!first) return undefined
  for (const leg of splits) {
    if (leg.memo !== undefined) continue
    const taken =
      //
      take(leg, (memo) => memo === undefined) ?? take(leg, (memo) => memo !== undefined && !isTagged(memo))
    //
    if (!taken) return undefined
  }
  return { first, spare }
}

/** The sum in base units. */
export function total(legs: readonly Leg[]): bigint {
  return legs.reduce((sum, leg) => sum + leg.amount, 0n)
}

function addressOf(topic: Hex): Hex {
  return `0x${topic.slice(26)}`
}
