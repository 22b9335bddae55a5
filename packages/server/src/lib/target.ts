import { hash } from './runtime.ts'

/**
 * Why a raw request target cannot be priced: two parties may read it as two different resources.
 * Undefined: it is a plain origin-form target.
 */
export function targetFault(target: string): string | undefined {
  if (target.charCodeAt(0) !== 0x2f) return 'The request target must be a path.'
  if (target.charCodeAt(1) === 0x2f) return 'The request target must not begin with two slashes.'
  let end = target.indexOf('?')
  if (end < 0) end = target.length
  for (let i = 0; i < target.length; i++) {
    const code = target.charCodeAt(i)
    if (code <= 0x20 || code === 0x7f) return 'The request target holds a control character or blank.'
    if (code === 0x23) return 'The request target must not hold a fragment.'
    if (i >= end) continue
    if (code === 0x5c) return 'The path must not hold a backslash.'
    if (code === 0x25) {
      const escaped = target.slice(i + 1, i + 3).toLowerCase()
      if (escaped === '2f' || escaped === '5c') return 'The path must not hold an encoded slash or backslash.'
      if (escaped === '00') return 'The path must not hold an encoded NUL.'
      if (!/^[0-9a-f]{2}$/.test(escaped)) return 'The path holds a broken percent-encoding.'
    }
    if (code === 0x2f && isDotSegment(target, i + 1, end)) return 'The path must not hold dot segments.'
  }
  return undefined
}

function isDotSegment(target: string, from: number, end: number): boolean {
  let dots = 0
  let i = from
  while (i < end && target.charCodeAt(i) !== 0x2f) {
    if (target.charCodeAt(i) === 0x2e) i += 1
    else if (target.charCodeAt(i) === 0x25 && target.slice(i, i + 3).toLowerCase() === '%2e') i += 3
    // A segment's parameters (`..;a=b`) are cut off by some routers.
    else if (target.charCodeAt(i) === 0x3b && dots > 0) break
    else return false
    if (++dots > 2) return false
  }
  return dots > 0
}

const LONGEST = 200

/** What a payment is bound to: `GET /photos?x=1`. HEAD counts as GET; a long target is replaced by its SHA-256. */
export function scopeOf(method: string, target: string): string | Promise<string> {
  const verb = method === 'HEAD' ? 'GET' : method
  if (target.length <= LONGEST) return `${verb} ${target}`
  const digest = hash(target)
  return typeof digest === 'string'
    ? `${verb} sha256:${digest}`
    : digest.then((text) => `${verb} sha256:${text}`)
}
