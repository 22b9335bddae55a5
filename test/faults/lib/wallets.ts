import type { Challenge, ClientContext, ClientMethod, JsonObject, Prepared } from '@mppkit/core'
import { decodeRequest } from '@mppkit/core'
import { tempo } from '@mppkit/tempo/client'
import { toyWallet } from '@mppkit/testing/toy'
import { keccak256 } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { ledgerClient } from './ledger-client.ts'
import type { Settings } from './settings.ts'

/** One payment, signed. */
export interface Purse {
  /** Names the movement of money that it can cause, or begins its name. */
  debit: string
  source: string
  payload: JsonObject
  /** Where the buyer moves the money himself. */
  send?(): Promise<void>
}

export interface Wallets {
  prepare(rail: string, call: string, challenge: Challenge): Promise<Purse>
  /** For `@mppkit/client`. */
  methodOf(rail: string, call: string): ClientMethod
  debitOf(rail: string, call: string, prepared: Prepared): string
  stop(): void
}

/** The buyers' purses: an account of its own for every call on the toy rails, a few accounts on the chain. */
export function walletsOf({ ledger: { port }, chain }: Settings, keys: readonly string[]): Wallets {
  const ledger = ledgerClient(port)
  const context: ClientContext = { now: () => Date.now(), signal: new AbortController().signal }
  const onChain = chain
    ? keys.map((key) =>
        tempo.charge({
          account: privateKeyToAccount(key as `0x${string}`),
          chainId: chain.id,
          rpcUrl: chain.url,
          mode: 'pull',
        }),
      )
    : []

  function methodOf(rail: string, call: string): ClientMethod {
    if (rail === 'tempo') return onChain[Number(call.slice(1)) % onChain.length]!
    return toyWallet({
      ledger,
      account: `b-${call}`,
      name: rail,
      moves: rail === 'push' ? 'before' : 'settle',
    })
  }

  function debitOf(rail: string, call: string, prepared: Prepared): string {
    if (rail === 'tempo')
      return keccak256(methodOf(rail, call).payload(prepared)['signature'] as `0x${string}`)
    if (rail === 'ref') return `b-${call}:ref-`
    const { nonce, transfer } = prepared.data as { nonce?: string; transfer?: string }
    return transfer ?? `b-${call}:${nonce}`
  }

  return {
    methodOf,
    debitOf,
    stop: () => ledger.stop(),
    async prepare(rail, call, challenge) {
      const method = methodOf(rail, call)
      const prepared = await method.prepare(challenge, decodeRequest(challenge.request), context)
      const purse: Purse = {
        debit: debitOf(rail, call, prepared),
        source: prepared.source!,
        payload: method.payload(prepared),
      }
      return method.send ? { ...purse, send: () => method.send!(prepared, context) } : purse
    },
  }
}
