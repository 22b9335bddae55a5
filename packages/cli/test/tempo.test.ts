import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startTempo, type LocalTempo } from '@mppkit/testing/anvil'
import type { Report } from '@mppkit/testing/conform'
import { tempo } from '@mppkit/tempo/server'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createGates, memoryStore } from '@mppkit/server'
import { serve } from '../../adapters/express/test/serve.ts'
import { told } from './told.ts'

let chain: LocalTempo
beforeAll(async () => void (chain = await startTempo()), 60_000)
afterAll(() => chain?.stop())

test(
  '--pay tempo: real transactions on a local chain, with the key of a development account',
  { timeout: 120_000 },
  async () => {
    const gates = createGates({
      realm: 'photos.example',
      secret: 'the secret of an app that is only tested',
      methods: [
        tempo.charge({ recipient: chain.accounts[3]!.address, chainId: chain.chainId, rpcUrl: chain.url }),
      ],
      store: memoryStore(),
      onError: () => {},
    })
    const served = await serve({
      routes: [
        {
          verb: 'all',
          path: '/photo',
          gates: [gates.charge({ amount: '0.01' })],
          reply: { kind: 'text', body: 'the photo that was paid for' },
          started: () => {},
        },
      ],
      onError: () => {},
    })
    try {
      const argv = [
        'conform',
        `${served.url}/photo`,
        '--profile',
        'mppkit',
        '--pay',
        'tempo',
        '--rpc',
        chain.url,
        '--json',
      ]
      const { code, out, err } = await told(argv)
      const { verdicts, took } = JSON.parse(out) as Report
      const failed = verdicts.filter(({ outcome }) => outcome === 'failed')
      expect(failed.map(({ id, detail }) => `${id}: ${detail}`)).toEqual([])
      expect({ code, err }).toEqual({ code: 0, err: '' })
      for (const id of ['payment-served', 'replay', 'race', 'underpaid', 'misdirected', 'tampered-amount'])
        expect(verdicts.find((one) => one.id === id)).toMatchObject({ outcome: 'passed' })
      expect(took).toBeLessThan(20_000)
    } finally {
      gates.close()
      await served.close()
    }
  },
)

test('a node of the real chain is not paid through without leave, on this machine neither', async () => {
  const asked: string[] = []
  const node = createServer((incoming, outgoing) => {
    void incoming.forEach((piece: Buffer) => void asked.push(piece.toString()))
    outgoing.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result: '0x1079' }))
  }).listen(0, '127.0.0.1')
  await once(node, 'listening')
  const rpc = `http://127.0.0.1:${(node.address() as AddressInfo).port}`
  const argv = ['conform', 'http://127.0.0.1:65535/', '--pay', 'tempo', '--rpc', rpc]
  const env = { MPPKIT_PRIVATE_KEY: `0x${'11'.repeat(32)}` }
  expect(await told(argv, env)).toMatchObject({
    code: 2,
    err: expect.stringContaining('chain 4217 holds real money'),
  })
  expect(await told([...argv, '--live'], env)).toMatchObject({
    code: 2,
    err: expect.stringContaining('add e.g. --max'),
  })
  expect(await told([...argv, '--live', '--max', '0.10'])).toMatchObject({
    code: 2,
    err: expect.stringContaining('MPPKIT_PRIVATE_KEY'),
  })
  expect(await told([...argv, '--live', '--max', '0.10'], env)).toMatchObject({
    code: 2,
    err: expect.stringContaining('ECONNREFUSED'),
  })
  expect(asked.every((body) => body.includes('eth_chainId'))).toBe(true)
  node.close()
})
