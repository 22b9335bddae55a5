import { formatReceipt, PaymentError, type Binding, type Entry, type OnceMethod } from '@mppkit/core'
import { bodyFault, refusal } from './answer.ts'
import { createAsking, EXPOSED } from './asking.ts'
import { createCors, type Cors } from './cors.ts'
import { createJudge, Elsewhere, Limited, tokenOf } from './judging.ts'
import type { Attempt, FaultPoint, Verdict } from './attempt.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { Limiter } from './limits.ts'
import type { PageOption } from './page.ts'
import type { CompiledPrice } from './price.ts'
import type { Run } from './run.ts'
import type { Answer, Decision, Gate, Grant, Incoming, Opening } from './seam.ts'
import { scopeOf, targetFault } from './target.ts'
import type { Peer } from './trust.ts'

export interface HttpOptions {
  realm: string
  binding: Binding
  lifecycle: Lifecycle
  /** Counts refused credentials per remote; undefined: no limit. */
  limiter: Limiter | undefined
  methods: readonly OnceMethod<never>[]
  /** Lower case. */
  credentialHeader: 'authorization' | 'payment-authorization'
  peerOf(request: Incoming): Peer
  /** Why this transport may not carry payments; throws for the programmer. */
  transportFault(peer: Peer): string | undefined
  cors: Cors | undefined
  /** The public origin, without a path. */
  origin: string | undefined
  page: PageOption | undefined
  now(): number
  probe?: ((point: FaultPoint) => void | Promise<void>) | undefined
}

const KEPT_BYTES = 65_536
const RETRY: [string, string] = ['retry-after', '1']

/** Translates between HTTP and the lifecycle for one price. */
export function createHttpGate(options: HttpOptions, price: CompiledPrice): Gate {
  const { lifecycle, credentialHeader, probe } = options
  const { rails, amount } = price
  const otherHeader = credentialHeader === 'authorization' ? 'payment-authorization' : 'authorization'
  const cors = createCors(options.cors, EXPOSED)
  const { ask, asked: askedBy } = createAsking(options, price)
  const judge = createJudge(options, price)

  return Object.assign(open, { offers: rails })

  async function open(request: Incoming): Promise<Opening> {
    lifecycle.recovery.awake()
    const deciding = decide(request)
    const opening = deciding instanceof Promise ? await deciding : deciding
    if (opening.kind === 'respond') cors?.extend(request, opening.answer)
    return opening
  }

  function decide(request: Incoming): Opening | Promise<Opening> {
    const fault = targetFault(request.target)
    if (fault !== undefined) return respond(refusal(400, fault))
    const peer = options.peerOf(request)
    const refused = options.transportFault(peer)
    if (refused !== undefined) return respond(refusal(403, refused))
    if (request.method === 'OPTIONS')
      return respond({ status: 204, headers: [['cache-control', 'no-store']], body: null })
    // Before money is asked for: with a key that cannot be used the buyer would have paid in vain.
    if (isUnusableKey(request.headers.get('idempotency-key')))
      return respond(refusal(400, 'The Idempotency-Key must have 1 to 255 characters.'))
    const scope = scopeOf(request.method, request.target)
    if (typeof scope === 'string') return decideFor(request, scope, peer)
    return scope.then((text) => decideFor(request, text, peer))
  }

  function decideFor(request: Incoming, scope: string, peer: Peer): Opening | Promise<Opening> {
    const field = request.headers.get(credentialHeader)
    const stray = request.headers.get(otherHeader)
    if (field === null && stray === null) return ask(request, scope)
    const token = tokenOf(field, stray, credentialHeader)
    if (token === undefined) return ask(request, scope)
    if (token instanceof PaymentError) return ask(request, scope, token)
    if (typeof token !== 'string') return respond(token)
    if (request.method === 'HEAD')
      return respond(refusal(409, 'HEAD does not take a payment; send the credential with GET.'))
    return openPaid(request, scope, token, peer).catch((error: unknown) => respond(bodyFault(error)))
  }

  /**
   * What can be judged without asking anyone is judged before a framework parses the body: afterwards its bytes are gone.
   * A price that depends on the request may ask for nothing, or refuse, before a credential is looked at.
   */
  async function openPaid(request: Incoming, scope: string, token: string, peer: Peer): Promise<Opening> {
    let attempt: Attempt
    try {
      attempt = await judge(request, scope, token, peer)
    } catch (error) {
      if (error instanceof PaymentError) return ask(request, scope, error)
      if (error instanceof Elsewhere) return elsewhere(request, scope, error)
      if (error instanceof Limited) return limited(error)
      throw error
    }
    if (typeof amount !== 'function') return { kind: 'admit', admit: () => admit(request, scope, attempt) }
    let entry: Entry | undefined
    try {
      entry = await lifecycle.lookUp(attempt.quote)
    } catch {
      // The lifecycle looks again, and reports.
      return { kind: 'admit', admit: () => admit(request, scope, attempt) }
    }
    const moved = attempt.parsed.moved ?? attempt.method.moves === 'before'
    if (!entry && !moved) {
      const asked = await askedBy(request)
      if (asked === undefined) return { kind: 'pass' }
      if ('status' in asked) return respond(asked)
    }
    return { kind: 'admit', admit: () => admit(request, scope, { ...attempt, entry }) }
  }

  /** Goes on when the buyer leaves: a platform that then forgets the request would leave the payment in the middle. */
  function admit(request: Incoming, scope: string, attempt: Attempt): Promise<Decision> {
    const work = conclude(request, scope, attempt)
    request.waitUntil?.(work.catch(() => undefined))
    return work
  }

  async function conclude(request: Incoming, scope: string, attempt: Attempt): Promise<Decision> {
    let decision: Decision
    try {
      decision = await settleAttempt(request, scope, attempt)
    } catch (error) {
      if (error instanceof PaymentError) decision = await askAgain(request, scope, error)
      else decision = respond(bodyFault(error))
    }
    if (decision.kind === 'respond') cors?.extend(request, decision.answer)
    return decision
  }

  async function settleAttempt(request: Incoming, scope: string, attempt: Attempt): Promise<Decision> {
    const verdict = await lifecycle.admit(attempt)
    if (verdict.kind === 'granted') return { kind: 'proceed', grant: grantOf(request, verdict.run) }
    if (verdict.kind === 'refused')
      return askAgain(request, scope, new PaymentError(verdict.code, verdict.detail))
    return respond(answerTo(verdict))
  }

  function grantOf(request: Incoming, run: Run): Grant {
    const receipt = formatReceipt(run.payment.receipt)
    const shared = cors?.headers(request) ?? []
    return {
      payment: run.payment,
      headers(status) {
        if (status < 200) return []
        if (probe) void probe('first-byte')
        if (status >= 300) return [['cache-control', 'no-store'], ...shared]
        return [['payment-receipt', receipt], ['cache-control', 'private'], ...shared]
      },
      keeps: run.keeps ? KEPT_BYTES : 0,
      keep: (answer) =>
        run.keep({ ...answer, headers: answer.headers.filter(([name]) => !PASSING.has(name.toLowerCase())) }),
      async finish(outcome) {
        await run.finish(outcome)
        lifecycle.recovery.soon(request.waitUntil)
      },
    }
  }

  /** Not for this request. Where its money may have moved, a 402 would invite a second payment. */
  async function elsewhere(request: Incoming, scope: string, error: Elsewhere): Promise<Respond> {
    const { fault, quote, moved, remedy } = error
    if (!moved && !(await lifecycle.isOpen(quote))) return askAgain(request, scope, fault)
    return respond(refusal(409, `${fault.detail} ${remedy}`))
  }

  /** A refused credential is answered with what the route asks now. */
  async function askAgain(request: Incoming, scope: string, error: PaymentError): Promise<Respond> {
    const opening = await ask(request, scope, error)
    if (opening.kind === 'respond') return opening
    // The route is free now, but this credential was refused for something else.
    return respond(refusal(409, error.detail))
  }
}

/** Per connection or per moment; not part of an answer that is given again. */
const PASSING = new Set([
  'date',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'upgrade',
  'trailer',
  'proxy-connection',
  'te',
])

function limited({ seconds }: Limited): Respond {
  return respond(refusal(429, 'Too many refused credentials.', [['retry-after', String(seconds)]]))
}

/** An Idempotency-Key that no record could be found by. */
export function isUnusableKey(key: string | null): boolean {
  return key !== null && (key === '' || key.length > 255)
}

type Respond = { kind: 'respond'; answer: Answer }

function respond(answer: Answer): Respond {
  return { kind: 'respond', answer }
}

function answerTo(verdict: Exclude<Verdict, { kind: 'granted' | 'refused' }>): Answer {
  switch (verdict.kind) {
    case 'kept':
      return verdict.answer
    case 'conflict':
      return refusal(409, verdict.detail, verdict.retry ? [RETRY] : [])
    case 'unavailable':
      return refusal(503, verdict.detail, [RETRY])
  }
}
