import {
  decodeRequest,
  formatCredential,
  parseChallenges,
  PaymentError,
  type Challenge,
  type ClientMethod,
  type JsonObject,
} from '@mppkit/core'
import type { Got, Raw } from '../buyer.ts'
import { readLoosely, type LooseChallenge } from './loose.ts'
import { skip } from './question.ts'
import { brief, isServed } from './tell.ts'
import { bytesOf, exchange, isLoopback, type Place } from './wire.ts'

/** Who pays for the questions. */
export interface Payer {
  method: ClientMethod
  /** Whether it is money: then nothing is paid beyond `most`. */
  live: boolean
  /** The most that may be spent in all, in base units of the first currency that is asked for. Default: no limit. */
  most?: bigint
}

/** A signed payment for a challenge. */
export interface Signed {
  challenge: Challenge
  /** The value of the header that carries the credential. */
  authorization: string
  /** The header that carries it. */
  header: string
}

/** The server under question, and what is known of it. */
export interface Subject {
  readonly place: Place
  /** The priced request, without the fields that every request has. */
  readonly raw: Raw
  /** The fields that every request has. */
  readonly headers: NonNullable<Raw['headers']>
  readonly payer: Payer | undefined
  /** A priced target whose handler fails, if one is known. */
  readonly failing: string | undefined
  /** All that was answered so far. */
  readonly seen: readonly { raw: Raw; got: Got }[]
  /** Base units of the first currency that were signed away. */
  readonly spent: bigint
  /** Sends a request with the given fields beside those of every request. */
  send(raw: Raw): Promise<Got>
  /** Sends bytes on one connection, as they are. */
  write(bytes: Uint8Array, methods: readonly string[]): Promise<Got[]>
  /** The first answer to the priced request; asked once. */
  unpaid(): Promise<Got>
  /** The challenges of that answer as they stand; skips where there is none. */
  offered(): Promise<LooseChallenge[]>
  /** The header that carries credentials here. */
  credentialHeader(): Promise<string>
  /** The priced request with a credential, or what shall be taken for one. */
  withCredential(line: string): Promise<Raw>
  /** A fresh challenge that a strict buyer can use; skips where there is none. */
  quote(raw?: Raw): Promise<Challenge>
  /** Signs a challenge; `terms` are signed in place of what it asks for. Skips where nobody pays. */
  sign(challenge: Challenge, terms?: JsonObject): Promise<Signed>
  /** Asks and signs. */
  credential(raw?: Raw): Promise<Signed>
  /** Sends the request with credentials, again while the answer is 409 or 503 with `Retry-After`. */
  present(signed: Signed, raw?: Raw): Promise<Got>
  /** Asks, signs and is served; skips where the purchase fails. */
  buy(raw?: Raw): Promise<{ signed: Signed; got: Got }>
  /** The answer to the first purchase, whatever it is; bought once. */
  firstPurchase(): Promise<{ signed: Signed; got: Got }>
}

/** What `createSubject` needs. */
export interface SubjectOptions {
  place: Place
  raw: Raw
  /** Sent with every request. */
  headers?: Raw['headers']
  payer?: Payer | undefined
  failing?: string | undefined
  /** Milliseconds that an answer may take. */
  timeout: number
}

/** Makes the subject; nothing is sent before something is asked. */
export function createSubject({
  place,
  raw: priced,
  headers: own = [],
  payer,
  failing,
  timeout,
}: SubjectOptions): Subject {
  const seen: { raw: Raw; got: Got }[] = []
  const context = { now: () => Date.now(), signal: new AbortController().signal }
  const quoted = new Set<string>()
  let spent = 0n
  let currency: string | undefined
  let first: Promise<Got> | undefined
  let purchase: Promise<{ signed: Signed; got: Got }> | undefined

  function payable(challenges: readonly Challenge[]): Challenge | undefined {
    if (!payer) return challenges[0]
    return challenges.find(({ method, intent, request }, index) => {
      if (method !== payer.method.name || intent !== payer.method.intent) return false
      return payer.method.supports?.(challenges[index]!, decodeRequest(request)) ?? true
    })
  }

  /** Signing is counted as spending: what a server does with a proof is its own matter. */
  function count(challenge: Challenge, request: JsonObject): void {
    const { most } = payer!.method.cost(challenge, request)
    currency ??= most.currency
    const limit = payer!.most
    if (most.currency !== currency) {
      if (limit !== undefined) skip(`it would be paid in ${most.currency}, and the limit is in ${currency}`)
      return
    }
    if (limit !== undefined && spent + most.amount > limit) skip('the limit on what may be spent is reached')
    spent += most.amount
  }

  const subject: Subject = {
    place,
    raw: priced,
    headers: own,
    payer,
    failing,
    seen,
    get spent() {
      return spent
    },

    async send(raw) {
      const headers = [...own, ...(raw.headers ?? [])]
      const method = raw.method ?? 'GET'
      const bytes = bytesOf({ ...raw, method, headers }, place.authority)
      const [got] = await exchange(place, bytes, { methods: [method], timeout })
      seen.push({ raw: { ...raw, headers }, got: got! })
      if (got!.status === 429) skip('the server limits attempts (429); lift its limits for this run')
      return got!
    },

    write: (bytes, methods) => exchange(place, bytes, { methods, timeout: Math.min(timeout, 4000) }),

    unpaid: () => (first ??= subject.send(priced)),

    async offered() {
      const got = await subject.unpaid()
      const challenges = got.status === 402 ? readLoosely(got.all('www-authenticate')) : []
      return challenges.length > 0 ? challenges : skip('there is no challenge to look at')
    },

    async credentialHeader() {
      const named = (await subject.offered())[0]!.get('header')
      return named !== undefined && /^[A-Za-z-]+$/.test(named) ? named : 'Authorization'
    },

    withCredential: async (line) => withField(priced, await subject.credentialHeader(), line),

    async quote(raw = priced) {
      const got = await subject.send(raw)
      if (got.status !== 402) skip(`no challenge: the unpaid request was answered ${got.status}`)
      const { challenges, rejected } = parseChallenges(got.all('www-authenticate'))
      const challenge = payable(challenges)
      if (challenge) return challenge
      if (challenges.length > 0)
        return skip(`none of the offers is ${payer?.method.name}/${payer?.method.intent}`)
      return skip(`no usable challenge${rejected[0] ? ` (${rejected[0].reason})` : ''}`)
    },

    async sign(challenge, terms) {
      if (!payer) return skip('needs a payment: run it with somebody who pays')
      if (payer.live && !place.tls && !isLoopback(place)) skip('real money is not paid over plain http')
      const { method } = payer
      const request = terms ?? decodeRequest(challenge.request)
      const prepared = await (async () => {
        count(challenge, request)
        return method.prepare(challenge, request, context)
      })().catch((error: unknown) => {
        // What the draft of the method forbids a buyer to sign.
        if (error instanceof PaymentError) return skip(`the payer refuses to sign this (${error.detail})`)
        throw error
      })
      await method.send?.(prepared, context)
      const source = prepared.source === undefined ? {} : { source: prepared.source }
      const authorization = formatCredential({ challenge, payload: method.payload(prepared), ...source })
      return { challenge, authorization, header: challenge.header ?? 'Authorization' }
    },

    async credential(raw) {
      if (!payer) return skip('needs a payment: run it with somebody who pays')
      const { got } = await subject.firstPurchase()
      if (!isServed(got)) skip('nothing can be bought here, so nothing can be told')
      for (let tries = 0; tries < 5; tries += 1) {
        const challenge = await subject.quote(raw)
        if (!quoted.has(challenge.id)) {
          quoted.add(challenge.id)
          return subject.sign(challenge)
        }
        // An id that is made of the clock is another one a moment later.
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      return skip('the server repeats its challenges')
    },

    async present(signed, raw = priced) {
      const request = withField(raw, signed.header, signed.authorization)
      for (let tries = 0; ; tries += 1) {
        const got = await subject.send(request)
        const wait = Number(got.get('retry-after') ?? NaN)
        if (![409, 503].includes(got.status) || Number.isNaN(wait) || tries === 5) return got
        await new Promise((resolve) => setTimeout(resolve, Math.min(wait * 1000, 2000)))
      }
    },

    async buy(raw) {
      const signed = await subject.credential(raw)
      const got = await subject.present(signed, raw)
      if (!isServed(got)) skip(`the purchase that this needs was answered ${brief(got)}`)
      return { signed, got }
    },

    firstPurchase() {
      purchase ??= (async () => {
        const signed = await subject.sign(await subject.quote())
        quoted.add(signed.challenge.id)
        return { signed, got: await subject.present(signed) }
      })()
      return purchase
    },
  }
  return subject
}

/** The request with one more field line. */
export function withField(raw: Raw, name: string, value: string): Raw {
  return { ...raw, headers: [...(raw.headers ?? []), [name, value]] }
}

/** The members of a credential. */
export function contentOf({ authorization }: Pick<Signed, 'authorization'>): {
  challenge: Challenge
  payload: JsonObject
  source?: string
} {
  return JSON.parse(Buffer.from(authorization.slice('Payment '.length), 'base64url').toString())
}

/** Encodes a credential, or what shall be taken for one. */
export function tokenOf(content: object): string {
  return `Payment ${Buffer.from(JSON.stringify(content)).toString('base64url')}`
}
