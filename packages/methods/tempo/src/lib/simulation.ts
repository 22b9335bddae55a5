import type { Hex } from './address.ts'
import { RpcError, type Rpc } from './rpc.ts'

export interface Rehearsed {
  from?: Hex
  to: Hex
  data: Hex
}

export interface Result {
  succeeded: boolean
  returned?: unknown
  /** As if the call were a transaction of its own, where the node says it. */
  gasUsed?: bigint
}

const without = new WeakSet<Rpc>()

/**
 * Tries calls out, one after the other on the same state, and changes nothing. One call to the node;
 * where it cannot do that, one per call, each on its own. (A Tempo transaction as a whole cannot be tried out: nodes answer yes to anything.)
 */
export async function simulate(
  rpc: Rpc,
  calls: readonly Rehearsed[],
  signal?: AbortSignal,
): Promise<Result[]> {
  const options = signal ? { signal } : {}
  if (!without.has(rpc)) {
    try {
      const block = { calls: calls.map(({ data, ...call }) => ({ ...call, input: data })) }
      const answer = await rpc('eth_simulateV1', [{ blockStateCalls: [block] }, 'latest'], options)
      return readResults(answer, calls.length)
    } catch (error) {
      if (!(error instanceof RpcError && error.unknownMethod)) throw error
      without.add(rpc)
    }
  }
  return Promise.all(
    calls.map(async (call): Promise<Result> => {
      try {
        return { succeeded: true, returned: await rpc('eth_call', [call, 'latest'], options) }
      } catch (error) {
        // 3: the call was reverted. Anything else says nothing about the call.
        if (error instanceof RpcError && (error.code === 3 || /revert/i.test(error.message)))
          return { succeeded: false }
        throw error
      }
    }),
  )
}

function readResults(answer: unknown, expected: number): Result[] {
  const calls = (
    answer as { calls?: { status?: string; returnData?: string; gasUsed?: unknown }[] }[] | undefined
  )?.[0]?.calls
  if (!Array.isArray(calls) || calls.length !== expected)
    throw new Error('the node did not tell how the calls went')
  return calls.map(({ status, returnData, gasUsed }) => ({
    succeeded: status === '0x1',
    returned: returnData,
    ...(typeof gasUsed === 'string' && /^0x[0-9a-f]{1,16}$/i.test(gasUsed)
      ? { gasUsed: BigInt(gasUsed) }
      : undefined),
  }))
}
