import type { Store } from '@mppkit/core'
import type { FaultPoint, Verdict } from './attempt.ts'
import {
  claimTtl,
  proofTtl,
  parseRecord,
  proofKey,
  recordKey,
  type Hold,
  type PaymentRecord,
} from './record.ts'
import { situationOf, TABLE, type Action } from './table.ts'

interface ClaimsOptions {
  realm: string
  store: Store
  now(): number
  /** Seconds: the longest lifetime of any price. */
  longest(): number
  probe?: ((point: FaultPoint) => void | Promise<void>) | undefined
}

/** Stakes the claims that must stand before money moves. Resolves with the verdict if someone else has one of them. */
export type StakeClaims = (hold: Hold) => Promise<Verdict | undefined>

/** In fixed order: proof → quote, then Idempotency-Key → quote. Repeatable by the owner; a later one lost gives up the earlier ones. */
export function createClaims({ realm, store, now, longest, probe }: ClaimsOptions): StakeClaims {
  return stakeClaims

  async function stakeClaims(hold: Hold): Promise<Verdict | undefined> {
    const { claim } = hold
    const proof = proofKey(claim.challenge.method, claim.proof)
    const taken = await claimFor(store, proof, claim.quote, proofTtl(claim, now(), longest()))
    if (taken !== undefined) {
      await hold.drop()
      return otherPayment(taken)
    }
    if (probe) await probe('proof-claimed')
    if (claim.keyClaim === undefined) return undefined
    const ttl = claimTtl(claim, now())
    let owner = await claimFor(store, claim.keyClaim, claim.quote, ttl)
    if (owner !== undefined && (await isOver(owner)))
      owner = await reclaimFor(store, claim.keyClaim, owner, claim.quote, ttl)
    // Money that is here already buys its answer, whoever has the key: a refusal would invite a second payment.
    if (owner !== undefined && !claim.moved) {
      // Only the holder may take claims back: another one may stand on them by now.
      await hold.write({}, true)
      await unclaim(store, proof, claim.quote)
      await hold.drop()
      return otherPayment(owner)
    }
    if (probe) await probe('key-claimed')
    return undefined
  }

  /** What the owner of a claim says to everyone else. */
  async function otherPayment(quote: string): Promise<Verdict> {
    const entry = await store.get(recordKey(realm, quote))
    if (!entry) return { kind: 'refused', code: 'verification-failed', detail: 'This proof has been used.' }
    const record = parseRecord(entry)
    const verdict = say(TABLE[situationOf(record, entry)].other, record)
    return verdict.kind === 'refused' ? { ...verdict, code: 'verification-failed' } : verdict
  }

  /** An Idempotency-Key may be used again once its payment has come to nothing. */
  async function isOver(quote: string): Promise<boolean> {
    const entry = await store.get(recordKey(realm, quote))
    return entry === undefined || parseRecord(entry).state === 'refunded'
  }
}

type Saying = Extract<Action, { detail: string }>

/** What the table's plain actions say. */
export function say(action: Action, record: PaymentRecord): Verdict {
  const { kind, detail } = action as Saying
  if (kind === 'wait') return { kind: 'conflict', retry: true, detail }
  if (kind === 'refuse' || kind === 'replay') return { kind: 'refused', code: 'invalid-challenge', detail }
  return { kind: 'conflict', retry: false, detail: `${detail} (challenge ${record.claim.challenge.id})` }
}

/** Claims `key` for `quote`. Resolves with the quote that has it already, if it is another one. Repeatable by its owner. */
export async function claimFor(
  store: Store,
  key: string,
  quote: string,
  ttl: number,
): Promise<string | undefined> {
  const write = { value: quote, ttl }
  for (let round = 0; round < 10; round++) {
    const result = await store.swap(key, 'absent', write).catch(() => store.swap(key, 'absent', write))
    if (result.ok) return undefined
    // Refused for somebody who was gone when the store looked who it was: the claim is free, and not ours.
    if (result.entry) return result.entry.value === quote ? undefined : result.entry.value
  }
  throw new Error('the store does not hold still: ten claims of one key were refused')
}

/** Takes back a claim, if it is still held for `quote`. */
export async function unclaim(store: Store, key: string, quote: string): Promise<void> {
  const entry = await store.get(key)
  if (entry?.value === quote) await store.swap(key, entry.version, 'delete')
}

/** Re-points an Idempotency-Key claim whose owner is gone. Resolves with whoever was quicker. */
export async function reclaimFor(
  store: Store,
  key: string,
  from: string,
  quote: string,
  ttl: number,
): Promise<string | undefined> {
  const entry = await store.get(key)
  if (entry === undefined || entry.value !== from) return claimFor(store, key, quote, ttl)
  const result = await store.swap(key, entry.version, { value: quote, ttl })
  return result.ok ? undefined : result.entry?.value === quote ? undefined : (result.entry?.value ?? from)
}

/** Nothing has moved and nothing ever can: the claims go, last first. */
export async function giveUp(store: Store, hold: Hold): Promise<void> {
  const { claim } = hold
  // Claims are told by their quote, which whoever has taken over shares: first make sure that nobody has.
  await hold.write({}, true)
  if (claim.keyClaim !== undefined) await unclaim(store, claim.keyClaim, claim.quote)
  await unclaim(store, proofKey(claim.challenge.method, claim.proof), claim.quote)
  await hold.drop()
}
