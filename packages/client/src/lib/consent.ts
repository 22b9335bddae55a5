import type { Challenge, ClientContext, ClientMethod, Prepared } from '@mppkit/core'
import { race, within } from './call.ts'
import { expiry, type Offer } from './offer.ts'
import type { Rules } from './policy.ts'
import { atWork } from './polyfill.ts'
import { refusal, type Refusal } from './refusal.ts'

/** Asks the human, if the policy has one. Only a plain `true` in time is a yes. Rejects when the call is aborted. */
export async function refusalOf(
  rules: Rules,
  offer: Offer,
  signal: AbortSignal,
): Promise<Refusal | undefined> {
  const { approve, approveTimeout } = rules
  if (!approve) return undefined
  try {
    // A copy, so that what is shown and what is paid cannot be mixed up.
    const answer = await within(approveTimeout, signal, (stop) =>
      approve(structuredClone(offer), { signal: stop }),
    )
    if (answer === true) return undefined
    return refusal('denied', answer === undefined ? 'no answer in time' : 'not approved')
  } catch (cause) {
    signal.throwIfAborted()
    return refusal('denied', 'approve failed', cause)
  }
}

/** Signs. Rejects only when the call is aborted. */
export async function prepare(
  method: ClientMethod,
  challenge: Challenge,
  offer: Offer,
  context: ClientContext,
): Promise<Prepared | Refusal> {
  const { signal } = context
  const early = expiry(challenge, context.now())
  if (early) return early
  let prepared: Prepared
  try {
    prepared = await race(
      atWork(() => method.prepare(challenge, offer.request, context)),
      signal,
    )
  } catch (cause) {
    signal.throwIfAborted()
    return refusal('failed', `${method.name} could not sign`, cause)
  }
  // The strings that were received are echoed, whatever the method made of them.
  return (
    expiry(challenge, context.now()) ?? { ...prepared, method: method.name, intent: method.intent, challenge }
  )
}
