import { parseAmount, type Challenge, type ClientMethod } from '@mppkit/core'
import type { Payer } from '@mppkit/testing/conform'
import { createToyLedger, toyWallet } from '@mppkit/testing/toy'
import { readChoice, Usage } from './arguments.ts'

/** The options that say who pays. */
export const payerOptions = {
  pay: { type: 'string' },
  account: { type: 'string' },
  rpc: { type: 'string' },
  live: { type: 'boolean' },
  max: { type: 'string' },
} as const

/** What was given of them. */
export interface PayerValues {
  pay?: string | undefined
  account?: string | undefined
  rpc?: string | undefined
  live?: boolean | undefined
  max?: string | undefined
}

export const PAYER_HELP = `  --pay toy               pay on the toy rail of @mppkit/testing, as its account alice
  --account <name>        another account of the toy rail
  --pay tempo             pay on Tempo; the key is in the environment: MPPKIT_PRIVATE_KEY=0x…
  --rpc <url>             the node to pay through; one on this machine needs no key
  --live --max <amount>   pay real money, at most so much in all, e.g. --max 0.50`

/** Well known: the first development account of every local chain. Worth nothing anywhere else. */
const LOCAL_KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80'
const MAINNET = 4217
const MODERATO = 42431

/** Who pays, or nobody. Throws `Usage` when real money would be spent without leave. */
export async function payerOf(
  values: PayerValues,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Payer | undefined> {
  if (values.pay === undefined) {
    for (const name of ['account', 'rpc', 'live', 'max'] as const)
      if (values[name] !== undefined)
        throw new Usage(`--${name} says how to pay, but nobody pays; add --pay toy or --pay tempo`)
    return undefined
  }
  const rail = readChoice(values.pay, ['toy', 'tempo'], '--pay')
  if (rail === 'toy') {
    if (values.live || values.rpc !== undefined)
      throw new Usage('the toy rail has neither a node nor real money')
    const wallet = toyWallet({ ledger: createToyLedger(), account: values.account ?? 'alice' })
    return { method: wallet, live: false, ...mostOf(values.max, 2) }
  }
  return tempoPayer(values, env)
}

async function tempoPayer(
  values: PayerValues,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Payer> {
  const local = values.rpc !== undefined && isLocal(values.rpc)
  const chainId = values.rpc === undefined ? (values.live ? MAINNET : MODERATO) : await chainOf(values.rpc)
  // A node on this machine may well serve the real chain.
  const live = chainId === MAINNET || (chainId !== MODERATO && !local)
  if (live && !values.live)
    throw new Usage(
      `chain ${chainId} holds real money: this signs some thirty payments. Add --live --max <amount>, or take a test chain`,
    )
  if (live && values.max === undefined) throw new Usage('real money needs a limit: add e.g. --max 0.50')
  const key = env.MPPKIT_PRIVATE_KEY ?? (local && !live ? LOCAL_KEY : undefined)
  if (key === undefined || !/^0x[0-9a-fA-F]{64}$/.test(key))
    throw new Usage(
      '--pay tempo needs the key of an account: MPPKIT_PRIVATE_KEY=0x… (32 bytes in hexadecimal)',
    )
  // Only who pays on Tempo loads its libraries.
  const [{ tempo }, { privateKeyToAccount }] = await Promise.all([
    import('@mppkit/tempo/client'),
    import('viem/accounts'),
  ])
  const charge = (): ClientMethod =>
    tempo.charge({
      account: privateKeyToAccount(key as `0x${string}`),
      chainId,
      ...(values.rpc !== undefined && { rpcUrl: values.rpc }),
      // A local node that tries a transaction out may take it for the creation of a contract.
      ...(local && !live && { gas: 1_000_000n }),
    })
  return { method: charge(), live, ...mostOf(values.max, 6) }
}

function mostOf(max: string | undefined, decimals: number): { most?: bigint } {
  if (max === undefined) return {}
  try {
    return { most: parseAmount(max, decimals) }
  } catch {
    throw new Usage(`--max ${max} is no amount; write e.g. --max 0.50`)
  }
}

async function chainOf(rpc: string): Promise<number> {
  try {
    const answer = await fetch(rpc, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] }),
      signal: AbortSignal.timeout(10_000),
    })
    const id = Number(((await answer.json()) as { result?: string }).result)
    if (Number.isSafeInteger(id) && id > 0) return id
  } catch {
    // Said below.
  }
  throw new Usage(`${rpc} does not answer eth_chainId; is it a node?`)
}

function isLocal(rpc: string): boolean {
  try {
    return /^(127(\.\d+){3}|localhost|\[::1\])$/.test(new URL(rpc).hostname)
  } catch {
    throw new Usage(`--rpc ${rpc} is no URL`)
  }
}

/** Whether a challenge asks for test money or for real one; undefined where nobody can tell. */
export function modeOf(
  challenge: Pick<Challenge, 'method'>,
  request: Record<string, unknown>,
): 'test' | 'live' | undefined {
  if (challenge.method === 'toy') return 'test'
  if (challenge.method !== 'tempo') return undefined
  const details = (request.methodDetails ?? {}) as { chainId?: unknown }
  return (details.chainId ?? MAINNET) === MAINNET ? 'live' : 'test'
}
