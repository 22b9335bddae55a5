import { defectsIn } from './types.ts'

const folder = 'packages/server/src/lib'

/** What becomes of a payment. */
export const payment = [
  ...defectsIn(`${folder}/lifecycle.ts`, [
    {
      id: 'expired-taken',
      find: 'const expired = now() >= attempt.expires',
      replace: 'const expired = false',
      says: 'an expired challenge is still good',
    },
    {
      id: 'claim-after-settle',
      find: "    const standing = await hold.take()\n    if (standing) return standing.value ? known(attempt, standing) : undefined\n    if (probe) await probe('claimed')\n    return holding(hold, () => proceed(attempt, hold))",
      replace:
        '    const early = await attempt.method.settle(attempt.parsed as never, contextOf(attempt))\n    const standing = await hold.take()\n    if (standing) return standing.value ? known(attempt, standing) : undefined\n    return holding(hold, () => paid(hold, named(early, hold)))',
      says: 'of two copies at once both move money',
    },
    {
      id: 'verify-skipped',
      find: 'payer = (await verify(attempt)).payer',
      replace: 'payer = undefined',
      says: 'a bad proof is settled',
    },
    {
      id: 'proof-unclaimed',
      find: '    const blocked = await stakeClaims(hold)\n    if (blocked) return blocked\n    return settle(attempt, hold)',
      replace: '    return settle(attempt, hold)',
      says: 'one proof pays two challenges',
    },
    {
      id: 'doubt-given-up',
      find: 'if (error instanceof PaymentError) await giveUp(store, hold)',
      replace: 'if (error) await giveUp(store, hold)',
      says: 'a payment in doubt is forgotten, and another credential moves money again',
    },
    {
      id: 'rail-fault-402',
      find: '    report(error, attempt)\n    return RAIL_DOWN\n  }\n}',
      replace:
        "    report(error, attempt)\n    return { kind: 'refused', code: 'verification-failed', detail: 'The payment failed.' }\n  }\n}",
      says: 'a payment in doubt is answered 402: the buyer pays again',
    },
    {
      id: 'rail-fault-unreported',
      find: '    report(error, attempt)\n    return RAIL_DOWN\n  }\n}',
      replace: '    return RAIL_DOWN\n  }\n}',
      says: 'the seller never hears that his rail is down',
    },
    {
      id: 'look-up-fault-402',
      find: '      report(error, attempt)\n      return RAIL_DOWN\n    }\n  }\n\n  /** Paid, and',
      replace:
        "      report(error, attempt)\n      return { kind: 'refused', code: 'verification-failed', detail: 'The payment failed.' }\n    }\n  }\n\n  /** Paid, and",
      says: 'a payment that cannot be looked up is answered 402',
    },
    {
      id: 'find-skipped',
      find: 'if (note === undefined) return settle(attempt, hold)',
      replace: 'if (hold) return settle(attempt, hold)',
      says: 'money that may have moved is moved again without a look',
    },
    {
      id: 'unrecorded-answered',
      find: "await hold.write({ state: 'settled', receipt, started: 1, open: true }, true)",
      replace: "Object.assign(hold.progress, { state: 'settled', receipt, started: 1, open: true })",
      says: 'the handler runs for a payment that nobody has written down',
    },
    {
      id: 'attempts-unbounded',
      find: 'const started = record.started + 1',
      replace: 'const started = record.started',
      says: 'a handler is started without end for one payment',
    },
    {
      id: 'late-money-delivers',
      find: 'if (!hold.claim.late) {',
      replace: 'if (true) {',
      says: 'money for an expired challenge buys the content at the old price',
    },
    {
      id: 'kept-for-anyone',
      find: 'claim.answerKey === (await answerKey(attempt))',
      replace: 'true',
      says: 'a kept answer is given out under another key',
    },
    {
      id: 'key-unclaimed',
      find: '      if (payer !== undefined)\n        claim.keyClaim = `key:',
      replace: '      if (payer === undefined)\n        claim.keyClaim = `key:',
      says: 'one order is paid twice under one Idempotency-Key',
    },
    {
      id: 'key-of-all-payers',
      find: 'JSON.stringify([realm, attempt.scope, payer, idempotencyKey])',
      replace: 'JSON.stringify([realm, attempt.scope, idempotencyKey])',
      says: 'one buyer’s key blocks another buyer',
    },
    {
      id: 'same-by-challenge',
      find: 'record.claim.challenge.id === attempt.challenge.id && record.claim.proof === attempt.parsed.key',
      replace: 'record.claim.challenge.id === attempt.challenge.id',
      says: 'another proof for a paid challenge gets the first one’s content',
    },
  ]),
  ...defectsIn(`${folder}/run.ts`, [
    {
      id: 'delivered-twice',
      find: "reached === 'all'))\n      return { state: 'delivered',",
      replace: "reached === 'all'))\n      return { state: 'settled',",
      says: 'what was delivered is delivered again',
    },
    {
      id: 'delivered-cut',
      find: "(isDelivery(status) && reached === 'all')",
      replace: 'isDelivery(status)',
      says: 'a cut answer counts as delivered: the buyer has paid for nothing',
    },
    {
      id: 'failure-delivers',
      find: "(isDelivery(status) && reached === 'all')",
      replace: "reached === 'all'",
      says: 'an error counts as what was bought',
    },
    {
      id: 'redirect-undelivered',
      find: 'return status >= 200 && status < 400 && status !== 301',
      replace: 'return status >= 200 && status < 300 && status !== 301',
      says: 'a redirect can be had again and again',
    },
    {
      id: 'refund-after-content',
      find: "return canRefund && reached === 'nothing' ? 'refunding' : 'unclaimed'",
      replace: "return canRefund ? 'refunding' : 'unclaimed'",
      says: 'whoever leaves at the last byte keeps content and money',
    },
    {
      id: 'never-refunded',
      find: "return canRefund && reached === 'nothing' ? 'refunding' : 'unclaimed'",
      replace: "return 'unclaimed'",
      says: 'money for nothing stays',
    },
    {
      id: 'worst-forgotten',
      find: "return a === 'nothing' ? b : a",
      replace: 'return b',
      says: 'the last attempt alone decides about the refund',
    },
    {
      id: 'kept-undelivered',
      find: 'await hold.write(keptAs(kept), false)',
      replace: '',
      says: 'a kept answer is not written down',
    },
    {
      id: 'key-without-keep',
      find: 'keeps: claim.answerKey !== undefined',
      replace: 'keeps: false',
      says: 'an Idempotency-Key keeps nothing',
    },
  ]),
  ...defectsIn(`${folder}/claims.ts`, [
    {
      id: 'claim-overwrites',
      find: 'if (result.ok) return undefined',
      replace: 'if (result) return undefined',
      says: 'a proof that is taken is taken again',
    },
  ]),
  ...defectsIn(`${folder}/record.ts`, [
    {
      id: 'receipt-without-challenge',
      find: 'return { ...receipt, challengeId: claim.challenge.id, quote: claim.quote }',
      replace: 'return receipt',
      says: 'a receipt does not say for which challenge it is',
    },
    {
      id: 'lapse-never',
      find: '    this.#lapsed = true\n    await this.write({}, false)',
      replace: '    this.#lapsed = true',
      says: 'after a fault a buyer waits until the lease is over',
    },
  ]),
  ...defectsIn(`${folder}/table.ts`, [
    {
      id: 'second-credential-402',
      find: "  'settled-leased': {\n    same: { kind: 'wait', detail: 'The paid request is being answered.' },\n    other: { kind: 'conflict', detail: PAID },",
      replace:
        "  'settled-leased': {\n    same: { kind: 'redeem' },\n    other: { kind: 'conflict', detail: PAID },",
      says: 'a copy starts the handler beside the first',
    },
    {
      id: 'doubt-invites',
      find: "  'pending-free': {\n    same: { kind: 'resume' },\n    other: { kind: 'conflict', detail: FIRST },",
      replace:
        "  'pending-free': {\n    same: { kind: 'resume' },\n    other: { kind: 'refuse', detail: FIRST },",
      says: 'a payment in doubt invites a second one',
    },
    {
      id: 'spent-402',
      find: "  'settled-spent': {\n    same: {\n      kind: 'conflict',",
      replace: "  'settled-spent': {\n    same: {\n      kind: 'refuse',",
      says: 'after the last attempt the buyer is asked to pay again',
    },
    {
      id: 'unclaimed-402',
      find: "  unclaimed: {\n    same: {\n      kind: 'conflict',",
      replace: "  unclaimed: {\n    same: {\n      kind: 'refuse',",
      says: 'money that arrived for nothing is asked for again',
    },
  ]),
  ...defectsIn(`${folder}/recovery.ts`, [
    {
      id: 'refund-unmade',
      find: "    await hold.write({ state, reached, open: false }, state === 'refunding')\n    if (state === 'refunding') await refund(hold)",
      replace: '    await hold.write({ state, reached, open: false }, false)',
      says: 'what nobody came for in time is not returned',
    },
  ]),
]
