import {
  decodeRequest,
  formatCredential,
  type Challenge,
  type ClientMethod,
  type JsonObject,
  type Prepared,
} from '@mppkit/core'
import type { ToyLedger } from './toy-ledger.ts'
import { termsOf, toyNonce, toySignature, untilOf } from './toy-method.ts'

/** Changes to a proof, for payments that must be refused. */
export interface ToyForgery {
  amount?: string
  recipient?: string
  currency?: string
  from?: string
  nonce?: string
  signature?: string
}

/** A buyer on the toy rail. */
export interface ToyWallet extends ClientMethod {
  /** The account that pays. */
  readonly account: string
  /** Signs (and, for push, pays), and gives the value of an `Authorization` field. */
  pay(challenge: Challenge, forgery?: ToyForgery): Promise<string>
}

/**
 * The buyer's half of the toy rail.
 *
 * @param options.account Name of the account that pays.
 * @param options.name Name of the method. Default `toy`.
 * @param options.moves As the method's: `before` pays in `send`, and proves it by the transfer's name.
 * @param options.nonce Makes nonces; default: random.
 */
export function toyWallet(options: {
  ledger: ToyLedger
  account: string
  name?: string
  decimals?: number
  moves?: 'before' | 'settle'
  nonce?: () => string
}): ToyWallet {
  const {
    ledger,
    account,
    name = 'toy',
    decimals = 2,
    moves = 'settle',
    nonce: makeNonce = toyNonce,
  } = options

  async function prove(
    challenge: Challenge,
    request: JsonObject,
    forgery: ToyForgery = {},
  ): Promise<JsonObject> {
    const order = { from: account, nonce: makeNonce(), ...termsOf(request), ...forgery }
    const { from, nonce } = order
    if (moves === 'before') return { transfer: `${from}:${nonce}`, to: order.recipient, amount: order.amount }
    const signature = forgery.signature ?? (await toySignature({ ...order, id: challenge.id }))
    return { from, nonce, signature }
  }

  async function transfer(data: JsonObject, memo: string): Promise<void> {
    const { transfer: id, to, amount } = data as { transfer: string; to: string; amount: string }
    await ledger.transfer({ id, from: id.slice(0, id.indexOf(':')), to, amount: BigInt(amount), memo })
  }

  function payloadOf(data: JsonObject): JsonObject {
    return moves === 'before' ? { transfer: data.transfer! } : data
  }

  return {
    name,
    intent: 'charge',
    account,

    async pay(challenge, forgery) {
      const data = await prove(challenge, decodeRequest(challenge.request), forgery)
      if (moves === 'before') await transfer(data, challenge.id)
      return formatCredential({ challenge, payload: payloadOf(data), source: `did:toy:${account}` })
    },

    cost(_challenge, request) {
      const { amount, recipient, currency } = termsOf(request)
      return { most: { amount: BigInt(amount), decimals, currency }, recipients: [recipient], network: 'toy' }
    },

    async prepare(challenge, request): Promise<Prepared> {
      const data = await prove(challenge, request)
      return { method: name, intent: 'charge', challenge, source: `did:toy:${account}`, data }
    },

    payload: (prepared) => payloadOf(prepared.data),

    async find({ challenge, data }) {
      const { from, nonce, transfer: named } = data as { from?: string; nonce?: string; transfer?: string }
      const id = named ?? `${from}:${nonce}`
      const outcome = await ledger.find(id, id.slice(0, id.indexOf(':')))
      if (outcome !== undefined) return outcome === 'void' ? 'not-moved' : 'moved'
      const until = untilOf(challenge)
      return moves === 'settle' && until !== undefined && ledger.now() > until * 1000
        ? 'not-moved'
        : 'unknown'
    },

    ...(moves === 'before' && {
      async send({ challenge, data }: Prepared) {
        await transfer(data, challenge.id)
      },
    }),
  }
}
