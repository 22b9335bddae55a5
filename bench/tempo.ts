import { startTempo } from '@mppkit/testing/anvil'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { check, quotient, Samples, start } from './lib/measure.ts'
import { AMOUNT, PATH_USD } from './lib/peers.ts'
import { startRpcProxy } from './lib/rpc-proxy.ts'
import type { Row, Target } from './lib/table.ts'
import type { Paid, Question as BuyerQuestion } from './lib/tempo-buyer.ts'
import type { Question as SellerQuestion } from './lib/tempo-seller.ts'

const PEERS = ['ours', 'mppx'] as const

/** Latency of a charge on a local chain, and calls to the node for it, buyer and seller together. */
export async function tempo({ quick }: { quick: boolean }): Promise<Row[]> {
  const payments = quick ? 3 : 40
  const warm = quick ? 2 : 10
  const chain = await startTempo()
  const proxy = await startRpcProxy(chain.url)
  const children: { end(): Promise<void> }[] = []
  const samples = new Samples()
  try {
    const recipient = privateKeyToAccount(generatePrivateKey()).address
    const parties = await Promise.all(
      PEERS.map(async (peer) => {
        const seller = start(new URL('lib/tempo-seller.ts', import.meta.url))
        const buyer = start(new URL('lib/tempo-buyer.ts', import.meta.url))
        children.push(seller, buyer)
        const key = generatePrivateKey()
        await chain.fund(privateKeyToAccount(key).address, 1_000_000_000n, PATH_USD)
        const common = { peer, chainId: chain.chainId }
        const sponsor = chain.accounts[2]!.privateKey as `0x${string}`
        const [port] = await Promise.all([
          seller.ask<number>({
            ...common,
            rpc: proxy.urlFor(`${peer}-seller`),
            recipient,
            sponsor,
          } satisfies SellerQuestion),
          buyer.ask({ ...common, rpc: proxy.urlFor(`${peer}-buyer`), key } satisfies BuyerQuestion),
        ])
        return { peer, buyer, url: `http://127.0.0.1:${port}` }
      }),
    )
    const references = new Set<string>()
    for (let round = -warm; round < payments; round++) {
      for (const route of ['pull', 'sponsored'] as const) {
        for (const { peer, buyer, url } of round % 2 ? parties : parties.toReversed()) {
          const { ms, reference } = await buyer.ask<Paid>({ url: `${url}/${route}` } satisfies BuyerQuestion)
          const calls = [...proxy.take(`${peer}-buyer`), ...proxy.take(`${peer}-seller-${route}`)]
          check(
            calls.some((call) => call.startsWith('eth_sendRaw')),
            `no payment of ${peer} passed the proxy`,
          )
          references.add(reference)
          if (round < 0) continue
          samples.add(`${peer} ${route} ms`, ms)
          samples.add(`${peer} ${route} calls`, calls.length)
        }
      }
    }
    check(references.size === (warm + payments) * 4, 'two payments share a transaction')
    const [ours] = parties
    for (let round = 0; round < (quick ? 1 : 5); round++) {
      const unavailable = proxy.urlFor('ours-seller-broken')
      await ours!.buyer.ask<Paid>({ url: `${ours!.url}/broken`, unavailable } satisfies BuyerQuestion)
      const calls = [...proxy.take('ours-buyer'), ...proxy.take('ours-seller-broken')]
      const again = calls.indexOf('again')
      check(again > 0, 'the payment was not resumed')
      samples.add('resume calls', calls.length - again - 1)
    }
    const resumed = quick ? 1 : 5
    const total = BigInt(references.size + resumed) * 10_000n
    check(
      (await chain.balance(recipient)) === total,
      `the seller was not paid ${AMOUNT} for each request, once`,
    )
  } finally {
    await Promise.all(children.map((child) => child.end()))
    await proxy.close()
    await chain.stop()
  }
  const latency = (what: string, route: string): Row => {
    const [ours, mppx] = PEERS.map((peer) => samples.spread(`${peer} ${route} ms`))
    const verdicts = [{ of: 'mppx / ours', ratio: quotient(mppx!, ours!) }]
    return { bench: 'tempo', what, unit: 'ms', cells: { ours: ours!, mppx: mppx! }, verdicts }
  }
  const calls = (what: string, route: string, target: Target): Row => {
    const [ours, mppx] = PEERS.map((peer) => samples.spread(`${peer} ${route} calls`))
    const verdicts = [{ of: 'ours', ratio: ours!, target }]
    return { bench: 'tempo', what, unit: 'calls', cells: { ours: ours!, mppx: mppx! }, verdicts }
  }
  const resume = samples.spread('resume calls')
  return [
    latency('pull, latency', 'pull'),
    calls('pull, calls to the node', 'pull', { most: 2 }),
    latency('sponsored, latency', 'sponsored'),
    calls('sponsored, calls to the node', 'sponsored', { most: 4 }),
    {
      bench: 'tempo',
      what: 'resume after a crash, calls to the node',
      unit: 'calls',
      cells: { ours: resume },
      verdicts: [{ of: 'ours', ratio: resume, target: { most: 1 } }],
    },
  ]
}
