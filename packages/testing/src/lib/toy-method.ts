import {
  createBinding,
  encodeBase64url,
  formatTime,
  parseAmount,
  parseBaseUnits,
  parseTime,
  PaymentError,
  type Challenge,
  type Context,
  type JsonObject,
  type Noted,
  type OnceMethod,
  type Receipt,
} from '@mppkit/core'
import type { ToyFaults } from './toy-faults.ts'
import { ToyRefusal, type ToyLedger, type ToyTransfer } from './toy-ledger.ts'

/** What pays on the toy rail: a signed order (pull), or the name of a transfer that was made already (push). */
export type ToyProof = { from: string; nonce: string; signature: string } | { transfer: string }

/** How often the rail was asked. */
export interface ToyCalls {
  quote: number
  parse: number
  verify: number
  settle: number
  find: number
  refund: number
}

/** The seller’s half of the toy rail, with its counters. */
export interface ToyMethod extends OnceMethod<object, ToyProof> {
  readonly calls: ToyCalls
}

/** What a toy rail is like. */
export interface ToyOptions {
  ledger: ToyLedger
  /** Account that is paid where a price names none. */
  recipient?: string
  /** Default `toy`. */
  name?: string
  /** Default `usd`. */
  currency?: string
  /** Default 2. */
  decimals?: number
  /** Default `settle`: the server moves the money. `before`: the buyer has moved it. */
  moves?: 'before' | 'settle'
  /** Who knows what `find` needs: the payload alone (default), or only `settle`, which then writes a note. */
  notes?: 'parse' | 'settle'
  canRefund?: boolean
  faults?: ToyFaults
  mode?: 'test' | 'live'
}

/**
 * A deterministic payment rail on a ledger: real signatures, real movements, and every failure a rail can have on order.
 * For tests, documentation and benchmarks; anyone can sign for any account.
 */
export function toyMethod(options: ToyOptions): ToyMethod {
  const { ledger, name = 'toy', decimals = 2, moves = 'settle', notes = 'parse', faults, mode } = options
  const calls: ToyCalls = { quote: 0, parse: 0, verify: 0, settle: 0, find: 0, refund: 0 }

  function takes(field: 'currency' | 'recipient', value: string): boolean {
    return field === 'currency' ? /^[a-z]{3}$/.test(value) : value !== '' && !value.startsWith('0x')
  }

  function receiptOf(challenge: Challenge, request: JsonObject, at: number, reference: string): Receipt {
    const receipt: Receipt = {
      status: 'success',
      method: name,
      timestamp: formatTime(Math.floor(at / 1000)),
      reference,
      challengeId: challenge.id,
    }
    if (typeof request.externalId === 'string') receipt.externalId = request.externalId
    return receipt
  }

  async function verifyPull(
    proof: Extract<ToyProof, { from: string }>,
    { challenge, request }: Context,
  ): Promise<void> {
    const { amount, recipient, currency } = termsOf(request)
    const signed = toySignature({ ...proof, id: challenge.id, amount, recipient, currency })
    if (proof.signature !== (typeof signed === 'string' ? signed : await signed)) {
      throw new PaymentError('verification-failed', 'the signature does not fit this challenge')
    }
    const units = BigInt(amount)
    if (
      units > 0n &&
      (await ledger.balance(proof.from)) < units &&
      !(await ledger.find(idOf(proof), proof.from))
    ) {
      throw new PaymentError('payment-insufficient', 'the toy account is short of money')
    }
  }

  async function verifyPush(id: string, { challenge, request, issued }: Context): Promise<string> {
    const transfer = await found(id)
    const { amount, recipient } = termsOf(request)
    if (transfer.to !== recipient) throw new PaymentError('verification-failed', 'someone else was paid')
    if (transfer.amount < BigInt(amount))
      throw new PaymentError('payment-insufficient', 'too little was paid')
    if (transfer.memo !== undefined && transfer.memo !== challenge.id) {
      throw new PaymentError('verification-failed', 'the transfer was made for another challenge')
    }
    if (transfer.at < (issued - 60) * 1000) {
      throw new PaymentError('verification-failed', 'the transfer is older than the challenge')
    }
    return transfer.from
  }

  async function found(id: string): Promise<ToyTransfer> {
    const transfer = await ledger.find(id, payerOf(id))
    if (transfer === 'void') throw new PaymentError('verification-failed', 'the transfer was refused')
    if (transfer === undefined) throw new Error('toy rail: the transfer is not on the ledger yet')
    return transfer
  }

  const method: ToyMethod = {
    name,
    intent: 'charge',
    moves,
    calls,
    takes,
    ...(mode && { mode }),

    quote({
      amount,
      currency = options.currency ?? 'usd',
      recipient = options.recipient,
      description,
      externalId,
    }) {
      calls.quote += 1
      if (recipient === undefined) {
        throw new TypeError(`${name}: who is paid? Give \`recipient\` in toyMethod(…) or in the price`)
      }
      if (!takes('currency', currency))
        throw new TypeError(`${name}: \`currency\` is three lower-case letters, e.g. "usd"`)
      if (!takes('recipient', recipient))
        throw new TypeError(`${name}: \`recipient\` is the name of an account`)
      const request: JsonObject = { currency, recipient }
      if (amount !== null) request.amount = parseAmount(amount, decimals).toString()
      if (description !== undefined) request.description = description
      if (externalId !== undefined) request.externalId = externalId
      return request
    },

    parse(payload, challenge) {
      calls.parse += 1
      const until = untilOf(challenge)
      if (moves === 'before') {
        const transfer = textOf(payload, 'transfer', /^[\w.:-]{1,130}$/)
        return { proof: { transfer }, key: transfer, note: noteOf(transfer) }
      }
      const proof = {
        from: textOf(payload, 'from', /^[\w.-]{1,64}$/),
        nonce: textOf(payload, 'nonce', /^[\w-]{1,64}$/),
        signature: textOf(payload, 'signature', /^[\w-]{1,128}$/),
      }
      const key = idOf(proof)
      const parsed = { proof, key, ...(until !== undefined && { until }) }
      return notes === 'parse' ? { ...parsed, note: noteOf(key, until) } : parsed
    },

    async verify({ proof }, context) {
      calls.verify += 1
      const payer = 'from' in proof ? proof.from : payerOf(proof.transfer)
      if (faults) await faults.suffer(faults.draw('verify', payer))
      if ('transfer' in proof) return { payer: await verifyPush(proof.transfer, context) }
      await verifyPull(proof, context)
      return { payer }
    },

    async settle({ proof, key, until }, context) {
      calls.settle += 1
      const { challenge, request } = context
      const { amount, recipient } = termsOf(request)
      const from = 'from' in proof ? proof.from : payerOf(proof.transfer)
      const fault = faults?.draw('settle', from)
      if (fault === 'down') await faults?.suffer(fault)
      if ('transfer' in proof) {
        const { at, id } = await found(proof.transfer)
        return receiptOf(challenge, request, at, id)
      }
      if (notes === 'settle') await context.note(noteOf(key, until))
      await faults?.suffer(fault)
      if (amount === '0') return receiptOf(challenge, request, ledger.now(), challenge.id)
      const order = {
        id: key,
        from,
        to: recipient,
        amount: BigInt(amount),
        memo: challenge.id,
        ...(until && { until }),
      }
      const transfer = await ledger.transfer(order).catch(refuse)
      if (fault === 'unknown-after') throw new Error('toy rail: unknown-after')
      if (transfer.memo !== challenge.id)
        throw new PaymentError('verification-failed', 'the nonce has paid another challenge')
      return receiptOf(challenge, request, transfer.at, transfer.id)
    },

    async find(note, { challenge, request }) {
      calls.find += 1
      const { id, from, until } = readNote(note)
      await faults?.suffer(faults.draw('find', from))
      let transfer = await ledger.find(id, from)
      // Nothing was ordered in time, so nothing will be: but only once the ledger itself has closed the order.
      if (transfer === undefined && until !== undefined && ledger.now() > until * 1000)
        transfer = await ledger.cancel(id, from)
      if (transfer === undefined) return 'unknown'
      return transfer === 'void' ? 'not-moved' : receiptOf(challenge, request, transfer.at, transfer.id)
    },
  }

  if (options.canRefund) {
    method.refund = async (receipt, by, context: Noted) => {
      calls.refund += 1
      const paid = await ledger.find(receipt.reference, payerOf(receipt.reference))
      if (paid === undefined || paid === 'void')
        throw new PaymentError('verification-failed', 'there is nothing to refund')
      const fault = faults?.draw('refund', paid.from)
      if (fault === 'down') await faults?.suffer(fault)
      const id = `${paid.to}:refund-${by.id}`
      await context.note(noteOf(id))
      await faults?.suffer(fault)
      const back = await ledger
        .transfer({ id, from: paid.to, to: paid.from, amount: paid.amount })
        .catch(refuse)
      if (fault === 'unknown-after') throw new Error('toy rail: unknown-after')
      return receiptOf(context.challenge, context.request, back.at, back.id)
    }
  }
  return method
}

const SIGNER = createBinding(['the toy rail: everyone can sign this, it proves nothing outside of tests'])

/** The signature of a toy wallet. */
export function toySignature(order: {
  id: string
  from: string
  nonce: string
  amount: string
  recipient: string
  currency: string
}): string | Promise<string> {
  const { id, from, nonce, amount, recipient, currency } = order
  return SIGNER.sign(`${id}|${from}|${nonce}|${amount}|${recipient}|${currency}`)
}

/** A fresh nonce: 96 random bits. */
export function toyNonce(): string {
  return encodeBase64url(crypto.getRandomValues(new Uint8Array(12)))
}

/** The members of a toy request that a proof is made over. Throws `PaymentError('invalid-challenge')` when they are none. */
export function termsOf(request: JsonObject): { amount: string; recipient: string; currency: string } {
  const { amount, recipient, currency } = request
  if (parseBaseUnits(amount) === undefined || typeof recipient !== 'string' || typeof currency !== 'string') {
    throw new PaymentError('invalid-challenge', 'this is no request of the toy rail')
  }
  return { amount: amount as string, recipient, currency }
}

/** Unix seconds until which a proof for this challenge can move money. */
export function untilOf(challenge: Challenge): number | undefined {
  const time = challenge.expires === undefined ? undefined : parseTime(challenge.expires)
  return time === undefined ? undefined : Math.floor(time / 1000)
}

/** A transfer is named after its payer, so that the ledger can look it up. */
function idOf({ from, nonce }: { from: string; nonce: string }): string {
  return `${from}:${nonce}`
}

function payerOf(id: string): string {
  return id.slice(0, Math.max(id.indexOf(':'), 0))
}

function noteOf(id: string, until?: number): string {
  return until === undefined ? id : `${id} ${until}`
}

function readNote(note: string): { id: string; from: string; until: number | undefined } {
  const [id = '', until] = note.split(' ')
  return { id, from: payerOf(id), until: until === undefined ? undefined : Number(until) }
}

function textOf(payload: JsonObject, member: string, shape: RegExp): string {
  const value = Object.hasOwn(payload, member) ? payload[member] : undefined
  if (typeof value === 'string' && value.length <= 130 && shape.test(value)) return value
  throw new PaymentError('malformed-credential', `payload.${member} is missing or malformed`)
}

/** Refusals of the ledger are final, so they are the payer's fault; everything else stays what it is. */
function refuse(error: unknown): never {
  if (!(error instanceof ToyRefusal)) throw error
  const code = {
    funds: 'payment-insufficient',
    late: 'payment-expired',
    void: 'verification-failed',
  } as const
  throw new PaymentError(code[error.reason], 'the toy ledger refuses this order', { cause: error })
}
