import { PaymentError } from '@mppkit/core'
import { bodyFault } from './answer.ts'
import { createAsking } from './asking.ts'
import { isUnusableKey, type HttpOptions } from './http.ts'
import { tokenOf } from './judging.ts'
import type { CompiledPrice } from './price.ts'
import { BodyError, type Answer, type Gate, type Incoming, type Offer, type Opening } from './seam.ts'
import { targetFault } from './target.ts'

/** What a gate that is not enforced would have done with one request. */
export type ShadowEvent = {
  method: string
  /** Raw path and query. */
  target: string
  /**
   * Whether a payment credential came with the request. Nobody has looked at it, nothing of it was kept, and its money
   * was not moved: it is as good as before.
   */
  credential: boolean
} & (
  | {
      would: 'charge'
      /** In whole units; `'0'` asks for a proof of identity. */
      amount: string
      /** What would have been offered, one per rail, with the request object of the challenge. */
      offers: Offer[]
    }
  | {
      would: 'refuse'
      /** Of the refusal that no payment could have mended. */
      status: number
    }
)

interface ShadowOptions extends HttpOptions {
  onShadow(event: ShadowEvent): unknown
  onError(error: unknown): void
}

/**
 * A gate that lets everybody in and tells what it would have asked. It offers nothing, so nothing is announced either.
 * What was paid while prices were enforced is looked after by recovery, as ever.
 */
export function createShadowGate(options: ShadowOptions, price: CompiledPrice): Gate {
  const { asked: askedBy } = createAsking(options, price)
  const { credentialHeader, lifecycle, onError } = options
  const otherHeader = credentialHeader === 'authorization' ? 'payment-authorization' : 'authorization'
  return Object.assign(open, { offers: [] })

  async function open(request: Incoming): Promise<Opening> {
    lifecycle.recovery.awake()
    try {
      const event = await judge(request)
      if (event) tell(event, request)
    } catch (error) {
      // What a price function could not read to its end, the handler cannot read either.
      if (error instanceof BodyError && error.reason !== 'consumed')
        return { kind: 'respond', answer: bodyFault(error) }
      onError(error)
    }
    return { kind: 'pass' }
  }

  /** Undefined: a request that nothing would have been asked for. HEAD and OPTIONS are never charged. */
  async function judge(request: Incoming): Promise<ShadowEvent | undefined> {
    const { method, target, headers } = request
    if (method === 'OPTIONS' || method === 'HEAD') return undefined
    const token = tokenOf(headers.get(credentialHeader), headers.get(otherHeader), credentialHeader)
    const seen = { method, target, credential: token !== undefined }
    const status = refusalOf(request) ?? (isAnswer(token) ? token.status : undefined)
    if (status !== undefined) return { ...seen, would: 'refuse', status }
    const asked = await askedBy(request)
    if (asked === undefined) return undefined
    if ('status' in asked) return { ...seen, would: 'refuse', status: asked.status }
    if (isTooLarge(request)) return { ...seen, would: 'refuse', status: 413 }
    const amount = asked.amount ?? (price.amount as string)
    const offers = price.rails.map((rail) => ({
      method: rail.method,
      intent: rail.intent,
      request: rail.quoteFor(amount).request,
      amount,
    }))
    return { ...seen, would: 'charge', amount, offers }
  }

  function refusalOf(request: Incoming): number | undefined {
    if (targetFault(request.target) !== undefined) return 400
    if (options.transportFault(options.peerOf(request)) !== undefined) return 403
    return isUnusableKey(request.headers.get('idempotency-key')) ? 400 : undefined
  }

  /** As far as the request says itself: what only its end would tell is the handler's to read. */
  function isTooLarge({ headers, body }: Incoming): boolean {
    return price.bindBody && body !== undefined && Number(headers.get('content-length')) > price.maxBody
  }

  function tell(event: ShadowEvent, request: Incoming): void {
    const told = (async () => options.onShadow(event))().catch(onError)
    request.waitUntil?.(told)
  }
}

function isAnswer(token: string | undefined | Answer | PaymentError): token is Answer {
  return typeof token === 'object' && !(token instanceof PaymentError)
}

/** What is told where nobody listens: one line. The query stays out of it, for it may hold a secret. */
export function logShadow(event: ShadowEvent): void {
  const { method, target, credential } = event
  const [path = ''] = target.split('?')
  const would =
    event.would === 'charge'
      ? `would have been charged ${event.amount} (${event.offers.map((offer) => offer.method).join(', ')})`
      : `would have been refused with ${String(event.status)}`
  const left = credential ? '; it brought a credential, which was left alone' : ''
  console.log(`mppkit: shadow: ${method} ${path} ${would}${left}`)
}

/** Said once per server: what is forgotten here costs the seller everything. */
export const SHADOW_WARNING =
  'mppkit: enforce is false: every request is let in unpaid, and what it would have cost goes to onShadow. Leave enforce ' +
  'out to be paid'
