import { RpcError, type Call, type Rpc } from './rpc.ts'

/** The time in which something can have happened on the chain, in Unix seconds. */
export interface Window {
  from: number
  until: number
}

/** A block of before the window, and a transaction in it. */
export interface Witness {
  block: string
  hash: string
}

interface Block {
  number: number
  time: number
  hashes: string[]
}

/** Seconds beyond the end of a window after which nodes that lag behind are believed, too. */
const margin = 10

/** Blocks of before the window that are asked about: one that the node still knows is enough. */
const maxWitnesses = 3

/**
 * Looks once more, and makes sure that "not found" means "did not happen": the node that answers must have gone past the window, and
 * must still know what happened before it, for what it has forgotten it does not find either. One request asks for all of that, so
 * that one node answers, whatever is in front of it. Undefined if it cannot be made sure.
 */
export async function lookBack(
  rpc: Rpc,
  look: readonly Call[],
  recall: { ask(witness: Witness): Call; knows(answer: unknown, witness: Witness): boolean },
  window: Window,
  signal?: AbortSignal,
): Promise<unknown[] | undefined> {
  const options = signal ? { signal } : {}
  const latest = readBlock(await rpc('eth_getBlockByNumber', ['latest', false], options))
  if (!isOver(latest, window)) return undefined
  const witnesses = await findWitnesses(rpc, latest!, window.from, options)
  //
  if (witnesses.length === 0) return undefined
  const answers = await rpc.batch(
    [['eth_getBlockByNumber', ['latest', false]], ...witnesses.map((one) => recall.ask(one)), ...look],
    options,
  )
  const [head, ...rest] = answers
  //
  if (!isOver(readBlock(head), window)) return undefined
  const recalled = witnesses.some((one, i) => recall.knows(rest[i], one))
  //
  return recalled ? rest.slice(witnesses.length) : undefined
}

/** Judged by the clock of the chain. */
function isOver(latest: Block | undefined, { until }: Window): boolean {
  if (!latest) throw new Error('the node did not say when its block was made')
  //
  return latest.time >= until + margin
}

/** How many blocks a chain makes in a second nobody knows: looks at several distances, ever farther away. */
async function findWitnesses(
  rpc: Rpc,
  latest: Block,
  before: number,
  options: { signal?: AbortSignal },
): Promise<Witness[]> {
  const seconds = latest.time - before
  const numbers = new Set<number>()
  const nearest = Math.max(1, Math.min(seconds, latest.number) / 20)
  for (let back = nearest; back < seconds * 20; back *= 1.6)
    numbers.add(Math.max(1, latest.number - Math.ceil(back)))
  const calls = [...numbers].map((number): Call => ['eth_getBlockByNumber', [toHex(number), false]])
  const blocks = await rpc.batch(calls, options)
  return blocks
    .map(readBlock)
    .filter((block) => block !== undefined && block.time <= before && block.hashes.length > 0)
    .slice(0, maxWitnesses)
    .map((block) => ({ block: toHex(block!.number), hash: block!.hashes[0]! }))
}

function readBlock(value: unknown): Block | undefined {
  if (typeof value !== 'object' || value === null || value instanceof RpcError) return undefined
  const { number, timestamp, transactions } = value as Record<string, unknown>
  const [height, time] = [Number(number), Number(timestamp)]
  if (!Number.isSafeInteger(time) || !Number.isSafeInteger(height)) return undefined
  const hashes = Array.isArray(transactions) ? transactions.filter((one) => typeof one === 'string') : []
  return { number: height, time, hashes }
}

function toHex(number: number): string {
  return `0x${number.toString(16)}`
}
