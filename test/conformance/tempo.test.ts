// The whole suite once more for each adapter, with real payments on a local Tempo chain.
import {
  canonicalize,
  decodeBase64urlText,
  decodeRequest,
  formatCredential,
  type Challenge,
} from '@mppkit/core'
import { createGates } from '@mppkit/server'
import { tempo as buying } from '@mppkit/tempo/client'
import { tempo as selling } from '@mppkit/tempo/server'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, expect, test } from 'vitest'
import { serve as express } from '../../packages/adapters/express/test/serve.ts'
import { serve as hono } from '../../packages/adapters/hono/test/serve.ts'
import { drive } from '../../packages/server/test/lib/harness.ts'
import { handlerOf, serve } from '../../packages/server/test/lib/serve-fetch.ts'
import { startTempo } from '../../packages/testing/src/anvil.ts'
import { testAdapter } from '../../packages/testing/src/lib/test-adapter.ts'

const chain = await startTempo()
afterAll(() => chain.stop())

const at = { chainId: chain.chainId, rpcUrl: chain.url }
const seller = chain.accounts[8]!.address
const wallet = buying.charge({
  account: privateKeyToAccount(chain.accounts[0]!.privateKey as `0x${string}`),
  ...at,
})

async function pay(challenge: Challenge): Promise<string> {
  const context = { now: Date.now, signal: new AbortController().signal }
  const prepared = await wallet.prepare(challenge, decodeRequest(challenge.request), context)
  const { source } = prepared
  return formatCredential({ challenge, payload: wallet.payload(prepared), ...(source && { source }) })
}

const rail = () => ({ rail: { method: selling.charge({ recipient: seller, ...at }), pay } })

testAdapter('express on tempo', express, rail())
testAdapter('hono on tempo', hono, rail())
testAdapter('fetch on tempo', (app) => serve(handlerOf(app)), rail())

test('TC-004 TC-042 TC-099 what goes over the wire: canonical request, plain credential, caching of both answers', async () => {
  const gates = createGates({ realm: 'wire.example', secret: 's'.repeat(32), methods: [rail().rail.method] })
  const gate = gates.charge({ amount: '0.01' })
  const unpaid = await drive(gate)
  expect([unpaid.status, unpaid.header('cache-control')]).toEqual([402, 'no-store'])
  const [challenge] = unpaid.challenges
  const text = decodeBase64urlText(challenge!.request)
  expect(challenge!.request).toMatch(/^[\w-]+$/)
  expect(canonicalize(JSON.parse(text))).toBe(text)
  const authorization = await pay(challenge!)
  const credential = JSON.parse(decodeBase64urlText(authorization.slice('Payment '.length)))
  expect(Object.keys(credential).sort()).toEqual(['challenge', 'payload', 'source'])
  expect(credential.challenge).toEqual(challenge)
  const paid = await drive(gate, { headers: { authorization } })
  expect([paid.status, paid.header('cache-control')]).toEqual([200, 'private'])
  gates.close()
})

test('TC-084 TC-085 the seller was paid on the chain for what the suites bought', async () => {
  expect(await chain.balance(seller)).toBeGreaterThan(0n)
})
