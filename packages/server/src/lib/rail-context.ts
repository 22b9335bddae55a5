import {
  decodeRequest,
  type Challenge,
  type JsonObject,
  type Noted,
  type OnceMethod,
  type Store,
} from '@mppkit/core'
import type { FaultPoint } from './attempt.ts'
import type { LifecycleOptions } from './lifecycle.ts'
import { issuedAt } from './quote.ts'
import { neverAborted } from './runtime.ts'

/** Where a rail's note is kept, and how long its caller has the right to go on. */
export interface Notebook {
  readonly signal: AbortSignal
  readonly progress: { readonly note?: string | undefined }
  write(change: { note: string }, keepLease: true): Promise<void>
}

interface Parts {
  challenge: Challenge
  request: JsonObject
  source?: string | undefined
  issued: number
  now(): number
  store: Store
}

/** What a rail is told about a payment. A class: made twice per payment, and the signal only if asked for. */
export class RailContext implements Noted {
  readonly challenge: Challenge
  readonly request: JsonObject
  declare readonly source?: string
  readonly issued: number
  readonly now: () => number
  readonly store: Store
  readonly onError: (error: unknown) => void
  readonly #hold: Notebook | undefined
  readonly #probe: ((point: FaultPoint) => void | Promise<void>) | undefined
  readonly #noted: FaultPoint

  constructor(
    { challenge, request, source, issued, now, store }: Parts,
    hold: Notebook | undefined,
    onError: (error: unknown) => void,
    probe: ((point: FaultPoint) => void | Promise<void>) | undefined,
    noted: FaultPoint = 'noted',
  ) {
    this.challenge = challenge
    this.request = request
    if (source !== undefined) this.source = source
    this.issued = issued
    this.now = now
    this.store = store
    this.onError = onError
    this.#hold = hold
    this.#probe = probe
    this.#noted = noted
  }

  get signal(): AbortSignal {
    return this.#hold ? this.#hold.signal : neverAborted()
  }

  get noted(): string | undefined {
    return this.#hold?.progress.note
  }

  /** Made when asked for, so that it may be taken off the context. */
  get note(): (text: string) => Promise<void> {
    return async (text) => {
      if (!this.#hold) throw new TypeError('mppkit: a method may note only while it settles or refunds')
      await this.#hold.write({ note: text }, true)
      if (this.#probe) await this.#probe(this.#noted)
    }
  }
}

/** What a rail is told of a payment when the request that began it is over. */
export function laterContext(
  { store, now, onError, probe }: LifecycleOptions,
  stores: ReadonlyMap<string, Store>,
  { name }: OnceMethod<never>,
  { challenge, source, quote }: { challenge: Challenge; source?: string | undefined; quote: string },
  notebook: Notebook,
  noted?: FaultPoint,
): RailContext {
  const parts = {
    challenge,
    request: decodeRequest(challenge.request),
    source,
    issued: issuedAt(quote) ?? 0,
    now,
    store: stores.get(name) ?? store,
  }
  const report = (error: unknown): void => onError(error, { id: quote, challengeId: challenge.id })
  return new RailContext(parts, notebook, report, probe, noted)
}
