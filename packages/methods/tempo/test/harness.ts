import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  canonicalize,
  createBinding,
  decodeRequest,
  encodeBase64url,
  formatTime,
  PaymentError,
  type Challenge,
  type ClientContext,
  type ClientMethod,
  type Context,
  type JsonObject,
  type Noted,
  type OnceMethod,
  type Parsed,
  type Prepared,
  type Receipt,
} from '@mppkit/core'
import type { Hex } from '../src/lib/address.ts'
import type { ChargeOverride, Proof } from '../src/lib/charge/server.ts'

export const realm = 'api.example.com'
export const usd = '0x20c0000000000000000000000000000000000000'
export const alphaUsd = '0x20c0000000000000000000000000000000000001'
export const transferTopic = '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef'

const binding = createBinding(['a secret of at least thirty-two bytes'])

export type Seller = OnceMethod<ChargeOverride, Proof>
export type Terms = { amount: string } & ChargeOverride & { description?: string; externalId?: string }

/** What a 402 offers. */
export interface Offer {
  challenge: Challenge
  request: JsonObject
  issued: number
}

/** A challenge as a server would make it. */
export async function offer(
  seller: Seller,
  terms: Terms,
  options: {
    lifetime?: number
    issued?: number
    realm?: string
    request?: (request: JsonObject) => JsonObject
  } = {},
): Promise<Offer> {
  const issued = options.issued ?? Math.floor(Date.now() / 1000)
  const quoted = seller.quote(terms)
  const request = encodeBase64url(canonicalize(options.request?.(quoted) ?? quoted))
  const opaque = encodeBase64url(canonicalize({ _n: Math.random().toString(36).slice(2) }))
  const bound = {
    realm: options.realm ?? realm,
    method: 'tempo',
    intent: 'charge',
    request,
    expires: formatTime(issued + (options.lifetime ?? 300)),
    opaque,
  }
  const id = await binding.sign(
    [bound.realm, bound.method, bound.intent, request, bound.expires, '', opaque].join('|'),
  )
  return { challenge: { id, ...bound }, request: decodeRequest(request), issued }
}

export const buyerContext = (now: () => number = Date.now): ClientContext => ({
  now,
  signal: new AbortController().signal,
})

export interface Credential {
  payload: JsonObject
  source?: string
  prepared: Prepared
}

/** What a buyer answers. */
export async function pay(buyer: ClientMethod, { challenge, request }: Offer): Promise<Credential> {
  const prepared = await buyer.prepare(challenge, request, buyerContext())
  // A journal keeps it as text.
  const kept = JSON.parse(JSON.stringify(prepared)) as Prepared
  await buyer.send?.(kept, buyerContext())
  return {
    payload: buyer.payload(kept),
    ...(kept.source === undefined ? {} : { source: kept.source }),
    prepared: kept,
  }
}

export interface Admission {
  receipt: Receipt
  payer: string | undefined
  parsed: Parsed<Proof>
  notes: string[]
}

/** As much of a server's lifecycle as a rail can see: parse, verify, claim the key, settle; nothing moves before the claim. */
export class Till {
  readonly seller: Seller
  readonly claims = new Map<string, string>()
  readonly errors: unknown[] = []
  now: () => number = Date.now

  constructor(seller: Seller) {
    this.seller = seller
  }

  context(made: Offer, source?: string): Context {
    const { challenge, request, issued } = made
    return {
      challenge,
      request,
      ...(source === undefined ? {} : { source }),
      issued,
      now: () => this.now(),
      signal: new AbortController().signal,
      store: undefined as never,
      onError: (error) => void this.errors.push(error),
    }
  }

  noted(made: Offer, notes: string[], source?: string, noted?: string): Noted {
    const context = { ...this.context(made, source), note: async (text: string) => void notes.push(text) }
    return noted === undefined ? context : Object.assign(context, { noted })
  }

  parse(made: Offer, payload: JsonObject): Promise<Parsed<Proof>> {
    return Promise.resolve().then(() => this.seller.parse(payload, made.challenge, made.request))
  }

  async verify(
    made: Offer,
    credential: { payload: JsonObject; source?: string },
  ): Promise<{ payer?: string }> {
    return this.seller.verify(
      await this.parse(made, credential.payload),
      this.context(made, credential.source),
    )
  }

  async admit(made: Offer, credential: { payload: JsonObject; source?: string }): Promise<Admission> {
    const parsed = await this.parse(made, credential.payload)
    const { payer } = await this.seller.verify(parsed, this.context(made, credential.source))
    for (const key of [`quote:${made.challenge.id}`, parsed.key]) {
      const owner = this.claims.get(key)
      if (owner !== undefined) throw new PaymentError('invalid-challenge', `${key} is claimed`)
      this.claims.set(key, made.challenge.id)
    }
    const notes = parsed.note === undefined ? [] : [parsed.note]
    const receipt = await this.seller.settle(parsed, this.noted(made, notes, credential.source))
    return { receipt, payer, parsed, notes }
  }
}

/** What a refused credential is refused with. */
export async function refusal(work: Promise<unknown>): Promise<{ code: string; detail: string }> {
  try {
    await work
  } catch (error) {
    if (error instanceof PaymentError) return { code: error.code, detail: error.detail }
    throw new Error('not refused, but failed', { cause: error })
  }
  throw new Error('accepted')
}

/** That the outcome is left open: an error, and no refusal. */
export async function doubt(work: Promise<unknown>): Promise<Error> {
  try {
    await work
  } catch (error) {
    if (error instanceof PaymentError || !(error instanceof Error))
      throw new Error('refused', { cause: error })
    return error
  }
  throw new Error('accepted')
}

type Fault = (
  method: string,
  params: any[],
) =>
  | 'pass'
  | 'hang'
  | 'reset'
  | 'reset-after'
  | 'hang-after'
  | { error: object }
  | { result: unknown }
  /** What the node says, but for this. */
  | { merge: object }

/** The chain's clock stands at `time` (Unix seconds), and its blocks up to the last one are a day older. */
export const clockAt =
  (time: number): Fault =>
  (method, [block]) =>
    method === 'eth_getBlockByNumber'
      ? { merge: { timestamp: `0x${(block === 'latest' ? time : time - 86_400).toString(16)}` } }
      : 'pass'

interface Asked {
  method: string
  params: unknown[]
  id: number
}

interface Answer {
  id: number
  result?: object | null
}

/** A proxy before the node: counts what passes, and breaks when told to. */
export interface Proxy {
  url: string
  /** The methods that were called; those of a batch in one line. */
  calls: string[]
  /** How often it was asked which chain it is of, which each method does once: not in `calls`. */
  checks: number
  fault: Fault
  close(): Promise<void>
}

export async function startProxy(target: string): Promise<Proxy> {
  const proxy: Proxy = { url: '', calls: [], checks: 0, fault: () => 'pass', close }
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    const pass = async () => {
      const body = Buffer.concat(chunks).toString()
      const asked = JSON.parse(body) as Asked | Asked[]
      const list = Array.isArray(asked) ? asked : [asked]
      const isCheck = list[0]!.method === 'eth_chainId'
      if (isCheck) proxy.checks++
      else proxy.calls.push(list.map(({ method }) => method).join(' '))
      const faults = list.map(({ method, params }) => proxy.fault(method, params))
      const fault = faults.find((one) => typeof one === 'string' && one !== 'pass')
      const change = (answer: Answer): object => {
        const made = faults[list.findIndex(({ id }) => id === answer.id)]
        if (typeof made !== 'object' || isCheck) return answer
        if (!('merge' in made)) return { jsonrpc: '2.0', id: answer.id, ...made }
        return answer.result ? { ...answer, result: { ...answer.result, ...made.merge } } : answer
      }
      if (fault === 'hang') return
      if (fault === 'reset') return void request.socket.destroy()
      const [first] = faults
      if (!Array.isArray(asked) && !isCheck && typeof first === 'object' && !('merge' in first))
        return void response.end(JSON.stringify(change(asked)))
      try {
        const answer = await fetch(target, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body,
        })
        const text = await answer.text()
        if (fault === 'reset-after') return void request.socket.destroy()
        if (fault === 'hang-after') return
        const told = JSON.parse(text) as Answer | Answer[]
        const changed = Array.isArray(told) ? told.map((one) => change(one)) : change(told)
        response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(changed))
      } catch {
        // The chain has stopped while a test that is over still waited.
        request.socket.destroy()
      }
    }
    request.on('end', () => void pass())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/key-of-the-node`
  async function close(): Promise<void> {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return proxy
}

export const hex = (value: string): Hex => value as Hex
