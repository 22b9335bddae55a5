import { formatCredential } from '@mppkit/core'
import { headersOf, pause, persist, quote, send, sign, targetOf, type Street } from './buyer.ts'
import type { Plan } from './plan.ts'

/** Wire bytes of a streamed answer before the chunk that holds its last byte: two chunks with their frames. */
const ALL_BUT_ONE = 6013

/** Reads everything but the last byte, as often as it can, and hopes for its money back. */
export async function abort(street: Street, plan: Plan): Promise<string> {
  const target = targetOf(plan, 'usual')
  const offer = await sign(street, plan, await quote(street, plan, target, 'any'))
  if (!offer) return 'asked in vain'
  await offer.purse.send?.()
  for (let tries = 0; tries < 12; tries++) {
    const wire = `cut-answer=${ALL_BUT_ONE}`
    const headers = headersOf(plan, offer)
    // The second half of the conditional attack asks for what the handler must answer with 4xx.
    if (plan.role === 'conditional' && tries > 0)
      Object.assign(headers, tries % 2 === 0 ? { range: 'bytes=999999-' } : { 'if-match': '"x"' })
    const { status, retry } = await send(street, plan, target, { ...headers, 'x-to': 'any', 'x-wire': wire })
    if (status === 402 || (status === 409 && !retry))
      return status === 402 ? 'refused' : 'told that it is final'
    await pause(status === 409 || status === 503 ? 900 : 60)
  }
  return 'gave up'
}

/** Pays in time, and comes too late. */
export async function comeLate(street: Street, plan: Plan): Promise<string> {
  const target = targetOf(plan, 'brief')
  const offer = await sign(street, plan, await quote(street, plan, target, 'any'))
  if (!offer) return 'asked in vain'
  await offer.purse.send?.()
  await pause(10_500)
  return persist(street, plan, target, offer, 'any')
}

/** Has a challenge of its own, and the proof of somebody else. */
export async function steal(street: Street, plan: Plan): Promise<string> {
  const target = targetOf(plan, 'usual')
  const challenge = await quote(street, plan, target, 'any')
  const payload = street.seen.get(plan.rail)
  if (!challenge || !payload) return 'asked in vain'
  const authorization = formatCredential({ challenge, payload, source: `did:toy:b-${plan.call}` })
  for (let tries = 0; tries < 8; tries++) {
    const { status } = await send(street, plan, target, { authorization, 'x-to': 'any' })
    if (status === 200) return 'held'
    if (status === 402) return 'refused'
    await pause(300)
  }
  return 'gave up'
}

/** Two payments of one buyer under one key, at once: at most one of them may be taken. */
export async function squat(street: Street, plan: Plan): Promise<string> {
  const target = targetOf(plan, 'usual')
  const offers = [
    await sign(street, plan, await quote(street, plan, target, 'any')),
    await sign(street, plan, await quote(street, plan, target, 'any')),
  ]
  const ends = await Promise.all(
    offers.flatMap((offer) => (offer ? persist(street, plan, target, offer, 'any') : [])),
  )
  return ends.includes('held') ? 'held' : ends.join(', ')
}
