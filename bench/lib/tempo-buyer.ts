import { createClient as createViemClient, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { tempoLocalnet } from 'viem/chains'
import { answer, check } from './measure.ts'
import { PATH_USD } from './peers.ts'

/** Make a wallet; later pay one URL, which is answered with what it took. */
export type Question =
  | { peer: 'ours' | 'mppx'; chainId: number; rpc: string; key: `0x${string}` }
  /** `unavailable` is called when the seller answers 503, before the payment is sent again. */
  | { url: string; unavailable?: string }

export interface Paid {
  /** From the first request to the last byte of the content. */
  ms: number
  reference: string
}

let pay: ((url: string, unavailable?: string) => Promise<Response>) | undefined

async function ourWallet(chainId: number, rpcUrl: string, key: `0x${string}`): Promise<typeof pay> {
  const { createClient, limits } = await import('@mppkit/client')
  const { tempo } = await import('@mppkit/tempo/client')
  let marker: string | undefined
  const client = createClient({
    methods: [tempo.charge({ account: privateKeyToAccount(key), chainId, rpcUrl })],
    policy: { limits: limits({ currency: PATH_USD, perRequest: '1', total: '1000' }) },
    async fetch(input, init) {
      const response = await fetch(input, init)
      if (response.status === 503 && marker !== undefined)
        await fetch(marker, { method: 'POST', body: '{"method":"again"}' })
      return response
    },
  })
  return (url, unavailable) => {
    marker = unavailable
    return client.fetch(url)
  }
}

async function theirWallet(chainId: number, rpcUrl: string, key: `0x${string}`): Promise<typeof pay> {
  const { Mppx, tempo } = await import('mppx/client')
  const account = privateKeyToAccount(key)
  const chain = { ...tempoLocalnet, id: chainId, rpcUrls: { default: { http: [rpcUrl] } } }
  const client = createViemClient({ account, chain, transport: http(rpcUrl), pollingInterval: 50 })
  const method = tempo.charge({ account, getClient: () => client, mode: 'pull' })
  const mppx = Mppx.create({ methods: [method], polyfill: false })
  return (url) => mppx.fetch(url)
}

answer(async (question: Question): Promise<Paid | undefined> => {
  if ('peer' in question) {
    const { peer, chainId, rpc, key } = question
    pay = await (peer === 'ours' ? ourWallet : theirWallet)(chainId, rpc, key)
    return undefined
  }
  if (!pay) throw new Error('make a wallet first')
  const begun = performance.now()
  const response = await pay(question.url, question.unavailable)
  const text = await response.text()
  const ms = performance.now() - begun
  check(response.status === 200, `the paid request was answered with ${response.status}: ${text}`)
  const receipt = Buffer.from(response.headers.get('payment-receipt') ?? '', 'base64url').toString()
  return { ms, reference: (JSON.parse(receipt) as { reference: string }).reference }
})
