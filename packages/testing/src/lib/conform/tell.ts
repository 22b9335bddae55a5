import type { Got } from '../buyer.ts'

/** For messages: the status and the beginning of the body, without what is nobody's business. */
export function brief(got: Got): string {
  const text = got.text.replaceAll(/\s+/g, ' ').trim()
  return `${got.status}${text === '' ? '' : ` ${text.length > 100 ? `${text.slice(0, 100)}…` : text}`}`
}

/** The last part of the problem's type; undefined where the body is no problem. */
export function codeOf(got: Got): string | undefined {
  if (!/^application\/problem\+json\b/i.test(got.get('content-type') ?? '')) return undefined
  try {
    const { type = 'about:blank' } = got.json() as { type?: unknown }
    return typeof type === 'string' ? type.slice(type.lastIndexOf('/') + 1) : undefined
  } catch {
    return undefined
  }
}

/** Whether a directive stands in `Cache-Control`. */
export function hasDirective(got: Got, directive: string): boolean {
  return (got.get('cache-control') ?? '')
    .toLowerCase()
    .split(',')
    .some((one) => one.trim().split('=')[0] === directive)
}

/** Whether the request was served. */
export function isServed(got: Got): boolean {
  return got.status >= 200 && got.status < 300
}
