import { startTempo, type LocalTempo } from '@mppkit/testing/anvil'
import { createClient, http, type Account, type Client } from 'viem'
import { generatePrivateKey, privateKeyToAccount, type PrivateKeyAccount } from 'viem/accounts'
import { tempoLocalnet } from 'viem/chains'

export const pathUsd = '0x20c0000000000000000000000000000000000000'
const transferTopic = '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef'

/** A local Tempo chain, and what a test asks of it. */
export interface Chain extends LocalTempo {
  /** A new account with 10 dollars in pathUSD. */
  buyer(): Promise<PrivateKeyAccount>
  /** An account that has always been rich: pays the fees of others. */
  sponsor(): PrivateKeyAccount
  /** What came in there, transfer by transfer, in base units of pathUSD. */
  received(address: string): Promise<bigint[]>
  /** A viem client, as mppx wants it; on the chain's own node, or on another. */
  client(options?: { account?: Account; url?: string | undefined }): Client
}

/** What `chain.buyer()` holds at first. */
export const purse = 10_000_000n

/** An address that never held anything. */
export const nobody = (): `0x${string}` => privateKeyToAccount(generatePrivateKey()).address

/** Starts a chain of its own for one file of tests. */
export async function openChain(): Promise<Chain> {
  const tempo = await startTempo()
  const chain = { ...tempoLocalnet, rpcUrls: { default: { http: [tempo.url] } } }
  return {
    ...tempo,
    async buyer() {
      const account = privateKeyToAccount(generatePrivateKey())
      await tempo.fund(account.address, purse)
      return account
    },
    sponsor: () => privateKeyToAccount(tempo.accounts[2]!.privateKey as `0x${string}`),
    async received(address) {
      const topics = [transferTopic, null, `0x${address.slice(2).toLowerCase().padStart(64, '0')}`]
      const logs: { data: string }[] = await tempo.rpc('eth_getLogs', [
        { address: pathUsd, topics, fromBlock: '0x0', toBlock: 'latest' },
      ])
      return logs.map(({ data }) => BigInt(data))
    },
    client({ account, url = tempo.url } = {}) {
      // Not tried again, so that a test that cuts the line need not wait.
      const transport = http(url, { retryCount: 0 })
      return createClient({ ...(account && { account }), chain, transport, pollingInterval: 50 })
    },
  }
}
