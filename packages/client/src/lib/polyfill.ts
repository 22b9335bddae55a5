import type { Fetch } from './call.ts'
import { refusal, type Refusal } from './refusal.ts'

interface Patch {
  previous: Fetch
  active: boolean
}

const patches = new WeakMap<Fetch, Patch>()
/** How many methods are at work, of all clients: each may call through the patch of another. */
let working = 0

/** Lets a method work; until it is done, even if nobody waits any more, calls through a patch are not paid. */
export async function atWork<T>(work: () => T | Promise<T>): Promise<T> {
  working++
  try {
    return await work()
  } finally {
    working--
  }
}

/** Why a call that begins now is not paid: it could be a method's own, and paying for it would call the method again. */
export function busy(): Refusal | undefined {
  return working
    ? refusal('busy', 'called through polyfill() during another payment; call again, or use client.fetch')
    : undefined
}

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
