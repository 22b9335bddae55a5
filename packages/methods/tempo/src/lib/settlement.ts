import { lower, type Hex } from './address.ts'
import { feeOf } from './fees.ts'
import { lookBack, type Window, type Witness } from './history.ts'
import { RpcError, type Call, type Rpc } from './rpc.ts'
import { memoTopic, type Log } from './transfers.ts'

/** A receipt as the node tells it. */
export interface MinedTransaction {
  transactionHash: string
  status: string
  from: string
  blockNumber: string
  logs: Log[]
  /** What it cost, in base units of the token that the fee was paid in, where the node says it. */
  fee?: bigint
}

/** What the chain says about a transaction; `never` means that no block can contain it any more. */
export type Outcome = MinedTransaction | 'never' | 'unknown'

/** Milliseconds between two looks where the node cannot wait for us. */
const pause = 250

/** Sends signed transactions and tells what became of them. */
export interface Settlement {
  /**
   * Sends the bytes and waits until they are mined. Repeatable: bytes that were sent before give the same receipt.
   * Rejects when the outcome is unknown, which an error of the node never settles: the bytes stay good until `validBefore`.
   */
  send(bytes: Hex, hash: Hex, signal?: AbortSignal): Promise<MinedTransaction>
  receipt(hash: Hex, signal?: AbortSignal): Promise<MinedTransaction | undefined>
  /** Looks for transactions of which at most one can be mined, in the window if there is one. One call if it is found. */
  find(
    hashes: readonly Hex[],
    window: Window | undefined,
    now: number,
    signal?: AbortSignal,
  ): Promise<Outcome>
  /** Looks for the transfer with a memo that is used once, where the hash of its transaction is not known. */
  findMemo(
    memo: MemoQuery,
    window: Window,
    now: number,
    signal?: AbortSignal,
  ): Promise<'moved' | 'never' | 'unknown'>
  /** When the block of a receipt was made, in Unix seconds. No call where the node says it in the receipt. */
  minedAt(mined: MinedTransaction, signal?: AbortSignal): Promise<number>
}

export interface MemoQuery {
  currency: Hex
  from: Hex
  to: Hex
  memo: Hex
  /** The block from which on it can have happened. */
  fromBlock: Hex
}

export function createSettlement(rpc: Rpc): Settlement {
  let canWait = true

  async function receipt(hash: Hex, signal?: AbortSignal): Promise<MinedTransaction | undefined> {
    return readReceipt(await rpc('eth_getTransactionReceipt', [hash], within(signal)), hash)
  }

  async function send(bytes: Hex, hash: Hex, signal?: AbortSignal): Promise<MinedTransaction> {
    try {
      const mined = canWait ? await sendAndWait(bytes, hash, signal) : undefined
      return mined ?? (await sendAndPoll(bytes, hash, signal))
    } catch (error) {
      // The node may have taken the bytes and lost the answer, or may know them from before: only the receipt tells.
      const mined = await rpc('eth_getTransactionReceipt', [hash], {
        ...within(signal),
        timeout: 3000,
      }).catch(() => null)
      const found = readReceipt(mined, hash)
      //
      if (found) return found
      throw error
    }
  }

  /** Undefined where the node does not know the method. */
  async function sendAndWait(
    bytes: Hex,
    hash: Hex,
    signal?: AbortSignal,
  ): Promise<MinedTransaction | undefined> {
    try {
      const mined = readReceipt(await rpc('eth_sendRawTransactionSync', [bytes], within(signal)), hash)
      if (!mined) throw new Error('the node answered with the receipt of another transaction')
      return mined
    } catch (error) {
      if (!(error instanceof RpcError && error.unknownMethod)) throw error
      canWait = false
      return undefined
    }
  }

  async function sendAndPoll(bytes: Hex, hash: Hex, signal?: AbortSignal): Promise<MinedTransaction> {
    const end = Date.now() + patience
    await rpc('eth_sendRawTransaction', [bytes], within(signal))
    while (Date.now() < end) {
      signal?.throwIfAborted()
      const mined = await receipt(hash, signal)
      if (mined) return mined
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
    throw new Error('the transaction was sent and not mined in time')
  }

  async function firstReceipt(
    hashes: readonly Hex[],
    signal?: AbortSignal,
  ): Promise<MinedTransaction | undefined> {
    for (const hash of hashes) {
      const mined = await receipt(hash, signal)
      if (mined) return mined
    }
    return undefined
  }

  async function find(
    hashes: readonly Hex[],
    window: Window | undefined,
    now: number,
    signal?: AbortSignal,
  ): Promise<Outcome> {
    const mined = await firstReceipt(hashes, signal)
    if (mined) return mined
    // Our own clock only decides whether to ask.
    if (window === undefined || now <= window.until) return 'unknown'
    const look = hashes.map((hash): Call => ['eth_getTransactionReceipt', [hash]])
    const answers = await lookBack(rpc, look, keptReceipts, window, signal)
    //
    if (!answers) return 'unknown'
    // It may have been mined between the two looks.
    const late = hashes.map((hash, i) => readReceipt(answers[i], hash)).find((one) => one !== undefined)
    if (late) return late
    // Anything else than "none" is no answer.
    return answers.every((answer) => answer === null) ? 'never' : 'unknown'
  }

  async function findMemo(
    query: MemoQuery,
    window: Window,
    now: number,
    signal?: AbortSignal,
  ): Promise<'moved' | 'never' | 'unknown'> {
    const { currency, from, to, memo, fromBlock } = query
    const topics = [memoTopic, topicOf(from), topicOf(to), memo]
    const filter = { address: currency, topics, fromBlock, toBlock: 'latest' }
    const isFound = (found: unknown) => Array.isArray(found) && found.length > 0
    if (isFound(await rpc('eth_getLogs', [filter], within(signal)))) return 'moved'
    if (now <= window.until) return 'unknown'
    const answers = await lookBack(rpc, [['eth_getLogs', [filter]]], keptEvents, window, signal)
    if (!answers) return 'unknown'
    if (isFound(answers[0])) return 'moved'
    return Array.isArray(answers[0]) ? 'never' : 'unknown'
  }

  async function blockTime(block: string, signal?: AbortSignal): Promise<number> {
    const found = (await rpc('eth_getBlockByNumber', [block, false], within(signal))) as {
      timestamp?: string
    } | null
    const time = Number(found?.timestamp)
    if (!Number.isSafeInteger(time)) throw new Error('the node did not say when its block was made')
    return time
  }

  async function minedAt(mined: MinedTransaction, signal?: AbortSignal): Promise<number> {
    return timeIn(mined) ?? blockTime(mined.blockNumber, signal)
  }

  return { send, receipt, find, findMemo, minedAt }
}

/** That a node still knows the receipts of a time. */
const keptReceipts = {
  ask: ({ hash }: Witness): Call => ['eth_getTransactionReceipt', [hash]],
  knows: (answer: unknown, { hash }: Witness) => readReceipt(answer, lower(hash)) !== undefined,
}

/** That it still knows the events. */
const keptEvents = {
  ask: ({ block }: Witness): Call => ['eth_getLogs', [{ fromBlock: block, toBlock: block }]],
  knows: (answer: unknown) => Array.isArray(answer) && answer.length > 0,
}

/** The time of the block in Unix seconds, where the node tells it with the events. */
export function timeIn(mined: MinedTransaction): number | undefined {
  const told = Number(mined.logs[0]?.blockTimestamp)
  return Number.isSafeInteger(told) && told > 0 ? told : undefined
}

/** Milliseconds that a sent transaction is waited for, where we have to look for it ourselves. */
const patience = 20_000

function within(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal ? { signal } : {}
}

function topicOf(address: Hex): Hex {
  return `0x${address.slice(2).padStart(64, '0')}`
}

/** A receipt of exactly this transaction. */
function readReceipt(value: unknown, hash: Hex): MinedTransaction | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { transactionHash, status, from, blockNumber, logs, gasUsed, effectiveGasPrice } =
    value as Partial<MinedTransaction> & { gasUsed?: unknown; effectiveGasPrice?: unknown }
  //
  if (typeof transactionHash !== 'string' || lower(transactionHash) !== hash) return undefined
  if (status !== '0x1' && status !== '0x0') return undefined
  if (typeof from !== 'string' || typeof blockNumber !== 'string' || !Array.isArray(logs)) return undefined
  const [gas, price] = [quantity(gasUsed), quantity(effectiveGasPrice)]
  const fee = gas === undefined || price === undefined ? undefined : { fee: feeOf(gas, price) }
  return { transactionHash, status, from, blockNumber, logs, ...fee }
}

function quantity(value: unknown): bigint | undefined {
  return typeof value === 'string' && /^0x[0-9a-f]{1,32}$/i.test(value) ? BigInt(value) : undefined
}
