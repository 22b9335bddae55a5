import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  encodeBase64url,
  formatChallenge,
  formatReceipt,
  parseCredential,
  type Challenge,
  type ClientMethod,
  type Credential,
  type JsonObject,
} from '@mppkit/core'
import { onTestFinished } from 'vitest'
import { createClient, limits, type ClientOptions, type PaymentEvent, type Policy } from '../src/index.ts'

/** What a seller saw of one request. */
export interface Seen {
  method: string
  url: string
  headers: IncomingMessage['headers']
  rawHeaders: string[]
  body: string
  credential?: Credential
  authorization?: string
}

export interface Seller {
  url: string
  origin: string
  seen: Seen[]
  /** Challenge ids that were settled, in order. */
  settled: string[]
}

type Answer = (seen: Seen, response: ServerResponse, seller: Seller) => void | Promise<void>

/** A server on a real socket that records what it sees. */
export async function serve(answer: Answer, headerName = 'authorization'): Promise<Seller> {
  const server = createServer({ maxHeaderSize: 65_536 }, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url = '', headers, rawHeaders } = request
      const seen: Seen = { method, url, headers, rawHeaders, body: Buffer.concat(chunks).toString('latin1') }
      const field = headers[headerName]
      if (typeof field === 'string' && field.startsWith('Payment ')) {
        seen.authorization = field
        try {
          seen.credential = parseCredential(field.slice(8))
        } catch {
          // Some tests send what is no credential.
        }
      }
      seller.seen.push(seen)
      void answer(seen, response, seller)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const origin = `http://127.0.0.1:${port}`
  const seller: Seller = { url: `${origin}/photo`, origin, seen: [], settled: [] }
  return seller
}

export const request = (over: JsonObject = {}): JsonObject => ({
  amount: '10',
  currency: 'usd',
  recipient: 'shop',
  ...over,
})

let count = 0

export function challenge(over: Partial<Challenge> & { ask?: JsonObject } = {}): Challenge {
  const { ask, ...rest } = over
  return {
    id: `c${++count}-${Math.random().toString(36).slice(2)}`,
    realm: 'Photos',
    method: 'toy',
    intent: 'charge',
    request: encodeBase64url(JSON.stringify(request(ask))),
    expires: new Date(Date.now() + 300_000).toISOString(),
    ...rest,
  }
}

export function ask(response: ServerResponse, ...challenges: Challenge[]): void {
  response
    .writeHead(402, { 'WWW-Authenticate': challenges.map(formatChallenge), 'Cache-Control': 'no-store' })
    .end('pay first')
}

export function deliver(response: ServerResponse, seen: Seen, body = 'the photo'): void {
  const receipt = formatReceipt({
    status: 'success',
    method: 'toy',
    timestamp: new Date().toISOString(),
    reference: `ref-${seen.credential!.challenge.id}`,
  })
  response.writeHead(200, { 'Payment-Receipt': receipt, 'Cache-Control': 'private' }).end(body)
}

/** Asks, settles, delivers. */
export const honest =
  (over: Parameters<typeof challenge>[0] = {}): Answer =>
  (seen, response, seller) => {
    if (!seen.credential) return ask(response, challenge(over))
    seller.settled.push(seen.credential.challenge.id)
    deliver(response, seen)
  }

export interface Toy extends ClientMethod {
  prepared: Challenge[]
}

/** A rail with two decimals whose payload is `{ proof }`. */
export function toy(over: Partial<ClientMethod> = {}): Toy {
  const prepared: Challenge[] = []
  return {
    name: 'toy',
    intent: 'charge',
    prepared,
    cost(_, ask) {
      const details = (ask['methodDetails'] ?? {}) as { network?: string; splits?: string[]; fee?: string }
      return {
        most: {
          amount: BigInt(ask['amount'] as string) + BigInt(details.fee ?? '0'),
          decimals: 2,
          currency: (ask['currency'] as string).toLowerCase(),
        },
        recipients: [ask['recipient'] as string, ...(details.splits ?? [])],
        ...(details.network !== undefined && { network: details.network }),
      }
    },
    async prepare(challenge) {
      prepared.push(challenge)
      return {
        method: 'toy',
        intent: 'charge',
        challenge,
        source: 'did:toy:me',
        data: { proof: `secret-${challenge.id}` },
      }
    },
    payload: (prepared) => ({ proof: prepared.data['proof']! }),
    ...over,
  }
}

export const usd = limits({ currency: 'usd', perRequest: '1' })

export function buyer(policy: Partial<Policy> = {}, options: Partial<ClientOptions> = {}) {
  const events: PaymentEvent[] = []
  const method = toy()
  const client = createClient({
    methods: [method],
    policy: { limits: usd, ...policy },
    onPayment: (event) => void events.push(event),
    ...options,
  })
  return { ...client, client, events, method }
}
