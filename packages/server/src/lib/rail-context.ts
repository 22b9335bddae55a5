import type { Challenge, JsonObject, Noted, Store } from '@mppkit/core'
import type { FaultPoint } from './lifecycle.ts'
import type { Hold } from './record.ts'
import { neverAborted } from './runtime.ts'

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
  readonly #hold: Hold | undefined
  readonly #probe: ((point: FaultPoint) => void | Promise<void>) | undefined
  readonly #noted: FaultPoint

  constructor(
    { challenge, request, source, issued, now, store }: Parts,
    hold: Hold | undefined,
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
