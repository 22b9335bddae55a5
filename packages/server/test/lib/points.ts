import type { FaultPoint } from '@mppkit/server'

export interface Freezer {
  probe(point: FaultPoint): Promise<void>
  /** Whoever comes to this point first waits there until `thaw`. */
  freeze(point: FaultPoint): void
  /** Resolves when somebody waits. */
  frozen(): Promise<void>
  thaw(): void
  /** All points that were passed. */
  readonly passed: FaultPoint[]
}

/** Stops a process in its tracks, as seen from the store: nothing of it moves until it is thawed. */
export function freezer(): Freezer {
  const passed: FaultPoint[] = []
  let at: FaultPoint | undefined
  let waiting = deferred()
  let open = deferred()
  return {
    passed,
    async probe(point) {
      passed.push(point)
      if (point !== at) return
      at = undefined
      waiting.resolve()
      await open.promise
    },
    freeze(point) {
      at = point
      waiting = deferred()
      open = deferred()
    },
    frozen: () => waiting.promise,
    thaw: () => open.resolve(),
  }
}

export interface Deferred<T> {
  promise: Promise<T>
  resolve(value: T): void
}

export function deferred<T = void>(): Deferred<T> {
  let resolve: Deferred<T>['resolve'] = () => {}
  const promise = new Promise<T>((done) => (resolve = done))
  return { promise, resolve }
}
