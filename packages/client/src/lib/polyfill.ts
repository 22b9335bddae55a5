import type { Fetch } from './call.ts'

interface Patch {
  previous: Fetch
  active: boolean
}

const patches = new WeakMap<Fetch, Patch>()

/** The fetch below all patches of ours: two clients never pay for the same call. */
export function unpatched(fetch: Fetch = globalThis.fetch): Fetch {
  let patch: Patch | undefined
  while ((patch = patches.get(fetch))) fetch = patch.previous
  return fetch
}

/** Puts `make(fetch)` in the place of the global fetch. The returned function undoes it, in any order with others. */
export function patchFetch(make: (fetch: Fetch) => Fetch): () => void {
  const previous = globalThis.fetch
  const patch: Patch = { previous, active: true }
  const paying = make(unpatched(previous))
  const patched: Fetch = (input, init) => (patch.active ? paying : previous)(input, init)
  patches.set(patched, patch)
  globalThis.fetch = patched
  return () => {
    patch.active = false
    let top: Patch | undefined
    while ((top = patches.get(globalThis.fetch)) && !top.active) globalThis.fetch = top.previous
  }
}
