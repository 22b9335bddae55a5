/** A chain that payments are made on. */
export interface Chain {
  chainId: number
  rpcUrl: string
}

const mainnet = 4217
const testnet = 42431

const known: Readonly<Record<number, string>> = {
  [mainnet]: 'https://rpc.tempo.xyz',
  [testnet]: 'https://rpc.moderato.tempo.xyz',
}

/** What the draft says where a challenge is silent. */
export const drafts = { chainId: testnet } as const

/**
 * The chain that the options mean: Tempo unless `testnet` (Moderato) or `chainId` says otherwise.
 * @throws TypeError for a chain without a known node, an address that is no http(s) URL, or `testnet` beside another `chainId`.
 */
export function resolveChain(options: {
  chainId?: number
  testnet?: boolean
  rpcUrl?: string | undefined
}): Chain {
  const chainId = options.chainId ?? (options.testnet ? testnet : mainnet)
  if (!Number.isSafeInteger(chainId) || chainId < 1)
    throw new TypeError('chainId must be a positive whole number')
  if (options.testnet && chainId === mainnet)
    throw new TypeError(`chainId ${mainnet} is not a testnet: drop one of the two`)
  const rpcUrl = options.rpcUrl ?? known[chainId]
  if (rpcUrl === undefined) throw new TypeError(`chain ${chainId} has no known node: set rpcUrl`)
  let protocol: string
  try {
    protocol = new URL(rpcUrl).protocol
  } catch {
    throw new TypeError('rpcUrl must be an absolute URL')
  }
  if (protocol !== 'https:' && protocol !== 'http:') throw new TypeError('rpcUrl must be an http(s) URL')
  return { chainId, rpcUrl }
}

/** Whether money on the chain is real. */
export function modeOf(chainId: number): 'live' | 'test' {
  return chainId === mainnet ? 'live' : 'test'
}

/** Tips that the chain is known to need at busy times, in attodollars per gas. */
export function usualTipLimit(chainId: number): bigint {
  return chainId === testnet ? 50_000_000_000n : 10_000_000_000n
}
