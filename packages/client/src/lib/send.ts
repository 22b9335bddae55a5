import { discard, dispatch, race, wait, type Call, type Fetch } from './call.ts'

const redirects = [301, 302, 303, 307, 308]
const cuts = 2
const pause = 250

/** How long the paid request may be repeated. */
export interface Patience {
  /** Milliseconds of waiting that are left, over all repetitions. */
  left: number
}

/**
 * Sends the paid request; repeats it unchanged after a cut connection, and on 409 or 503 with `Retry-After`.
 * Rejects with the last fault, or with the reason of the signal.
 */
export async function sendPaid(
  fetch: Fetch,
  call: Call,
  headers: Headers,
  patience: Patience,
): Promise<Response> {
  return await insist(call, patience, async () => {
    const response = await dispatch(fetch, call, headers, 'manual')
    const delay = response.status === 409 || response.status === 503 ? retryAfter(response) : undefined
    if (delay === undefined || delay > patience.left) return response
    await discard(response)
    return delay
  })
}

/** Repeats `work` a bounded number of times when it throws, and as long as it answers with milliseconds to wait. */
export async function insist<T>(call: Call, patience: Patience, work: () => Promise<T | number>): Promise<T> {
  for (let faults = 0; ;) {
    let delay: number
    try {
      const result = await race(work(), call.signal)
      if (typeof result !== 'number') return result
      delay = result
    } catch (error) {
      delay = pause * 4 ** faults
      if (call.signal.aborted || ++faults > cuts || delay > patience.left) throw error
    }
    patience.left -= delay
    await wait(delay, call.signal)
  }
}

/**
 * Follows redirects of a paid request within its origin, without the credential. A redirect that leads elsewhere is the delivery and comes back as it is.
 * Throws `TypeError` if the caller said `redirect: 'error'`.
 */
export async function follow(fetch: Fetch, call: Call, first: Response): Promise<Response> {
  let response = first
  let at: Call = call
  for (let hop = 0; hop < 20; hop++) {
    if (!redirects.includes(response.status) && response.type !== 'opaqueredirect') return response
    if (call.redirect === 'error') throw new TypeError('redirected, and redirect is "error"')
    const location = response.headers.get('location')
    if (call.redirect === 'manual' || location === null || !URL.canParse(location, at.url)) return response
    const next = new URL(location, at.url)
    if (next.origin !== new URL(call.url).origin || next.username || next.password) return response
    next.hash = ''
    await discard(response)
    at = { ...at, url: next.href }
    const toGet =
      response.status === 303 ? at.method !== 'HEAD' : response.status < 303 && at.method === 'POST'
    if (toGet) at = asGet(at)
    response = await dispatch(fetch, at, at.headers, 'manual')
  }
  return response
}

/** Milliseconds; undefined without a readable `Retry-After`. */
function retryAfter(response: Response): number | undefined {
  const text = response.headers.get('retry-after')?.trim()
  if (!text) return undefined
  const delay = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now()
  // At least a pause, so that "0" is no busy loop.
  return Number.isNaN(delay) ? undefined : Math.max(delay, pause)
}

function asGet(call: Call): Call {
  const headers = new Headers(call.headers)
  for (const name of call.headers.keys()) if (name.startsWith('content-')) headers.delete(name)
  const { body: _, ...rest } = call
  return { ...rest, method: 'GET', headers }
}
