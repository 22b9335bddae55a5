import { createHmac, createSecretKey, randomFillSync, timingSafeEqual } from 'node:crypto'

/**
 * The least that the wire format costs: one route, one method, one secret, no options, no recovery. A yardstick and
 * not a server. It issues bound challenges and takes a credential once, with one store swap.
 */
export interface Floor {
  /** The id that binds these slots to the route. */
  idOf(expires: string, digest: string, opaque: string): string
  /** A `WWW-Authenticate` value. */
  challenge(scope: string): string
  /** The `Payment-Receipt` of a good credential; undefined refuses it. */
  verify(field: string, scope: string): Promise<string | undefined>
}

export interface FloorOptions {
  secret: string
  realm: string
  method: string
  intent: string
  /** base64url of canonical JSON. */
  request: string
  /** Seconds for which a challenge is good; 300 if absent. */
  lifetime?: number
}

/** The body of every 402. */
export const PROBLEM = JSON.stringify({
  type: 'https://paymentauth.org/problems/payment-required',
  title: 'Payment Required',
  status: 402,
  detail: 'This resource must be paid for.',
})

/** The fixed fields of every 402. */
export const FIXED = { 'cache-control': 'no-store', 'content-type': 'application/problem+json' }

export function createFloor({ secret, realm, method, intent, request, lifetime = 300 }: FloorOptions): Floor {
  const key = createSecretKey(secret, 'utf8')
  const slots = `${realm}|${method}|${intent}|${request}|`
  const tail = `realm="${realm}", method="${method}", intent="${intent}", request="${request}"`
  const spent = new Map<string, number>()
  const random = Buffer.allocUnsafe(12 * 256)
  let used = random.length
  let second = 0
  let expires = ''

  return { idOf, challenge, verify }

  function idOf(until: string, digest: string, opaque: string): string {
    return createHmac('sha256', key).update(`${slots}${until}|${digest}|${opaque}`).digest('base64url')
  }

  function challenge(scope: string): string {
    if (used === random.length) {
      randomFillSync(random)
      used = 0
    }
    const nonce = random.toString('base64url', used, (used += 12))
    const now = Math.floor(Date.now() / 1000)
    if (now !== second) {
      second = now
      expires = `${new Date((now + lifetime) * 1000).toISOString().slice(0, 19)}Z`
    }
    const opaque = encode(`{"n":"${nonce}","s":${JSON.stringify(scope)}}`)
    return `Payment id="${idOf(expires, '', opaque)}", ${tail}, expires="${expires}", opaque="${opaque}"`
  }

  async function verify(field: string, scope: string): Promise<string | undefined> {
    const credential = decode(field.slice('Payment '.length)) as Credential | undefined
    const { challenge: echoed, payload } = credential ?? {}
    if (
      typeof echoed?.id !== 'string' ||
      typeof echoed.expires !== 'string' ||
      typeof echoed.opaque !== 'string'
    )
      return
    if (
      echoed.realm !== realm ||
      echoed.method !== method ||
      echoed.intent !== intent ||
      echoed.request !== request
    )
      return
    const id = Buffer.from(idOf(echoed.expires, '', echoed.opaque))
    const claimed = Buffer.from(echoed.id)
    if (id.length !== claimed.length || !timingSafeEqual(id, claimed)) return
    if ((decode(echoed.opaque) as { s?: unknown } | undefined)?.s !== scope) return
    const until = Date.parse(echoed.expires)
    if (!(Date.now() < until)) return
    if (typeof payload?.proof !== 'string' || !payload.proof.startsWith('ok:')) return
    if (!(await swapFromAbsent(echoed.id, until))) return
    return encode(
      JSON.stringify({
        status: 'success',
        method,
        timestamp: new Date().toISOString(),
        reference: payload.proof,
      }),
    )
  }

  async function swapFromAbsent(id: string, until: number): Promise<boolean> {
    if (spent.has(id)) return false
    spent.set(id, until)
    return true
  }
}

interface Credential {
  challenge?: Partial<Record<'id' | 'realm' | 'method' | 'intent' | 'request' | 'expires' | 'opaque', string>>
  payload?: { proof?: string }
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url')
}

function decode(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch {
    return undefined
  }
}
