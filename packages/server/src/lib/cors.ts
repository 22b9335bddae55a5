import type { Answer, Incoming } from './seam.ts'

/** Which origins' scripts may pay here: all, or a list. Credentials mode (cookies) needs the list. */
export type Cors = '*' | readonly string[]

export interface CorsWriter {
  headers(request: Incoming): [string, string][]
  /** Adds the headers to an answer of the gate itself; a 204 becomes the answer to a preflight. */
  extend(request: Incoming, answer: Answer): void
}

const ALLOWED = 'Authorization, Payment-Authorization, Accept-Payment, Idempotency-Key, Content-Type'

export function createCors(cors: Cors | undefined, exposed: string): CorsWriter | undefined {
  if (cors === undefined) return undefined
  const headers = (request: Incoming): [string, string][] => {
    const origin = request.headers.get('origin')
    if (cors === '*')
      return [
        ['access-control-allow-origin', '*'],
        ['access-control-expose-headers', exposed],
      ]
    if (origin === null || !cors.includes(origin)) return []
    return [
      ['access-control-allow-origin', origin],
      ['access-control-allow-credentials', 'true'],
      ['access-control-expose-headers', exposed],
    ]
  }
  return {
    headers,
    extend(request, answer) {
      const names = new Set<string>()
      for (const header of headers(request)) {
        names.add(header[0])
        answer.headers = answer.headers.filter(([name]) => name !== header[0])
      }
      answer.headers.push(...headers(request))
      if (cors !== '*') answer.headers.push(['vary', 'Origin'])
      if (request.method !== 'OPTIONS' || names.size === 0) return
      const method = request.headers.get('access-control-request-method')
      if (method !== null) answer.headers.push(['access-control-allow-methods', method])
      answer.headers.push(['access-control-allow-headers', ALLOWED], ['access-control-max-age', '600'])
    },
  }
}
