import {
  canonicalize,
  encodeBase64url,
  formatTime,
  parseBaseUnits,
  type Challenge,
  type ClientMethod,
  type Context,
  type JsonObject,
  type OnceMethod,
  type Parsed,
  type Prepared,
  type Receipt,
  type Terms,
} from '@mppkit/core'
import { memoryStore } from '@mppkit/server'
import type { TestContext } from 'vitest'

/** A payment rail with both its halves, and a hand on the world behind it. */
export interface RailUnderTest {
  method: OnceMethod<never>
  /** A buyer's half with a fresh account that has money. */
  wallet(): Promise<ClientMethod>
  /** A buyer's half whose account has nothing. */
  poorWallet?(): Promise<ClientMethod>
  /** What the method is asked for; must cost something. Default: `amount: '1'` and the method's own defaults. */
  terms?: Terms
  /** Someone else who could be paid. */
  otherRecipient: string
  /** What the recipient of `terms` has received so far, in base units. */
  received(): Promise<bigint>
  /** The clock by which the rail judges, in Unix milliseconds. */
  now(): number
  /** Puts that clock forward. */
  advance(seconds: number): Promise<void>
  /** Holds back whatever the next `settle` sends, after its note. */
  freeze?(): { frozen: Promise<void>; thaw: () => void }
  close?(): Promise<void>
}

/** One payment, from the terms to what `parse` made of the credential. */
export interface Case {
  challenge: Challenge
  request: JsonObject
  context: Context
  wallet: ClientMethod
  prepared: Prepared
  payload: JsonObject
  parsed: Parsed
}

/** Seconds that a challenge can be answered. */
export const LIFETIME = 60

/** What the questions about a rail are asked with. */
export type MethodBench = ReturnType<typeof createMethodBench>

/** @param current The rail, once it is open. */
export function createMethodBench(current: () => RailUnderTest) {
  const terms = (): Terms => current().terms ?? { amount: '1' }
  const quote = (asked: Terms): JsonObject => (current().method as OnceMethod).quote(asked)

  async function begin(
    asked: Terms = terms(),
    buyer?: ClientMethod,
  ): Promise<Omit<Case, 'prepared' | 'payload' | 'parsed'>> {
    const request = quote(asked)
    const issued = Math.floor(current().now() / 1000)
    const challenge: Challenge = {
      id: encodeBase64url(crypto.getRandomValues(new Uint8Array(32))),
      realm: 'conformance.example',
      method: current().method.name,
      intent: current().method.intent,
      request: encodeBase64url(canonicalize(request)),
      expires: formatTime(issued + LIFETIME),
      opaque: encodeBase64url(canonicalize({ _n: crypto.randomUUID() })),
    }
    const context = contextFor(current(), challenge, request, issued)
    return { challenge, request, context, wallet: buyer ?? (await current().wallet()) }
  }

  /** Signs, and pays where the buyer moves the money; `signed` is what the wallet is made to believe it pays. */
  async function prove(signed: JsonObject = {}, asked?: Terms, buyer?: ClientMethod): Promise<Case> {
    const begun = await begin(asked, buyer)
    const { challenge, wallet, context } = begun
    const request = { ...begun.request, ...signed }
    const shown = { ...challenge, request: encodeBase64url(canonicalize(request)) }
    const prepared = await wallet.prepare(shown, request, context)
    await wallet.send?.(prepared, context)
    const payload = wallet.payload(prepared)
    if (prepared.source !== undefined) context.source = prepared.source
    const parsed = await current().method.parse(payload, challenge, begun.request)
    return { ...begun, prepared, payload, parsed }
  }

  const verify = ({ parsed, context }: Case): Promise<{ payer?: string }> =>
    current().method.verify(parsed as never, context)

  /** As the server would: one note, kept. */
  async function settle(paid: Case, note = async (_text: string): Promise<void> => {}): Promise<Receipt> {
    return current().method.settle(paid.parsed as never, { ...paid.context, note })
  }

  async function settleNoted(paid: Case): Promise<{ receipt: Receipt; note: string }> {
    let { note } = paid.parsed
    const receipt = await settle(paid, async (text) => void (note = text))
    if (note === undefined) throw new Error('neither parse nor settle gave a note: find has nothing to go by')
    return { receipt, note }
  }

  /** The difference that `work` makes to the recipient. */
  async function moved(work: () => Promise<unknown>): Promise<bigint> {
    const before = await current().received()
    await work()
    return (await current().received()) - before
  }

  /** Whether the buyer has moved the money: each proof says so of itself, or its rail of them all. */
  const movedBefore = ({ parsed }: Case): boolean => parsed.moved ?? current().method.moves === 'before'

  const unitsOf = ({ request }: { request: JsonObject }): bigint => parseBaseUnits(request.amount) ?? -1n

  return {
    begin,
    moved,
    movedBefore,
    prove,
    quote,
    settle,
    settleNoted,
    terms,
    unitsOf,
    verify,
    rail: current,
  }
}

function contextFor(rail: RailUnderTest, challenge: Challenge, request: JsonObject, issued: number): Context {
  const { signal } = new AbortController()
  return {
    challenge,
    request,
    issued,
    now: () => rail.now(),
    signal,
    store: memoryStore(),
    onError: () => {},
  }
}

/** Ends a question that this rail has no answer to. */
export function inapplicable(test: TestContext): void {
  test.skip('this rail has no such thing')
}
