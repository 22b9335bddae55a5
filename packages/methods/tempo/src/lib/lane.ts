import { isWord, lower, type Hex } from './address.ts'
import { returnedWord } from './calls.ts'
import type { Heavy } from './heavy.ts'
import type { Rpc } from './rpc.ts'

/**
 * A sequence of nonces of one account, for one purpose. The chain mines at most one transaction per nonce, in order, and for ever:
 * whoever signs the first of a lane, however late and however often, at most one of them is ever mined.
 */
export interface Lane {
  account: Hex
  key: bigint
}

/** A lane, as it stands in one block. */
export interface Standing {
  block: number
  /** When the block was made, in Unix seconds: what loses its validity by then is not mined after it. */
  time: number
  /** How many transactions of the lane were mined, which is the next one's nonce. */
  used: number
}

/** Where the chain keeps its lanes. */
const manager: Hex = '0x4e4f4e4345000000000000000000000000000000'
/** `getNonce(address account, uint256 nonceKey)` */
const getNonce = '0x89535803'
/** `NonceIncremented(address indexed account, uint256 indexed nonceKey, uint64 newNonce)` */
const incremented = '0x42d98041765078b1557c6a9fe7e4a27230ca413fc141df57d89acd6cc68ffb45'

/** Blocks that a node is asked about at once; many answer for no more than 100,000. */
const page = 50_000

/** The key of the lane that stands for a text. Its first byte is zero: keys of other beginnings have, or had, a meaning of their own. */
export function keyOf(text: string, { hashText }: Heavy): bigint {
  return BigInt(hashText(text)) >> 8n
}

/** Looks at a lane; two calls to the node, about one and the same block. */
export async function readLane(lane: Lane, rpc: Rpc, signal: AbortSignal): Promise<Standing> {
  const head = (await rpc('eth_getBlockByNumber', ['latest', false], { signal })) as {
    number?: unknown
    timestamp?: unknown
  } | null
  const [block, time] = [Number(head?.number), Number(head?.timestamp)]
  if (!Number.isSafeInteger(block) || !Number.isSafeInteger(time))
    throw new Error('the node did not say which block is its latest')
  const call = { to: manager, data: `${getNonce}${word(lane.account)}${number(lane.key)}` }
  const used = returnedWord(await rpc('eth_call', [call, toHex(block)], { signal }), 0)
  if (used === undefined || used > BigInt(Number.MAX_SAFE_INTEGER))
    throw new Error('the node did not tell how far a lane of nonces has come')
  return { block, time, used: Number(used) }
}

/**
 * Every transaction that was mined in a lane. Rejects unless as many are found as the lane counts: a node that has forgotten
 * one of them must not make it seem that there was none.
 */
export async function usersOf(
  lane: Lane,
  { block, used }: Standing,
  fromBlock: number,
  rpc: Rpc,
  signal: AbortSignal,
): Promise<Hex[]> {
  const topics = [incremented, `0x${word(lane.account)}`, `0x${number(lane.key)}`]
  const found = new Set<Hex>()
  for (let from = fromBlock; from <= block && found.size < used; from += page) {
    const range = { fromBlock: toHex(from), toBlock: toHex(Math.min(from + page - 1, block)) }
    const logs = await rpc('eth_getLogs', [{ address: manager, topics, ...range }], { signal })
    if (!Array.isArray(logs)) throw new Error('the node did not say who has used a lane of nonces')
    for (const log of logs as ({ transactionHash?: unknown } | null)[])
      if (isWord(log?.transactionHash)) found.add(lower(log.transactionHash))
  }
  if (found.size !== used)
    throw new Error(`the node knows ${found.size} of the ${used} transactions that a refund has taken so far`)
  return [...found]
}

function word(address: Hex): string {
  return address.slice(2).padStart(64, '0')
}

function number(value: bigint): string {
  return value.toString(16).padStart(64, '0')
}

function toHex(value: number): string {
  return `0x${value.toString(16)}`
}
