import { problemTitle, problemType, type PaymentErrorCode } from '@mppkit/core'
import { BodyError, type Answer } from './seam.ts'

const TITLES: Record<number, string> = {
  400: 'Bad Request',
  403: 'Forbidden',
  408: 'Request Timeout',
  409: 'Conflict',
  413: 'Content Too Large',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  503: 'Service Unavailable',
}

/** An answer as a web `Response`. */
export function toResponse({ status, headers, body }: Answer): Response {
  return new Response(body as BodyInit | null, { status, headers: recordOf(headers) ?? headers })
}

/** Where no field has two lines: runtimes that send a Response natively need not make a Headers object of a record. */
function recordOf(headers: Answer['headers']): Record<string, string> | undefined {
  const fields: Record<string, string> = {}
  for (const [name, value] of headers) {
    if (name in fields) return undefined
    fields[name] = value
  }
  return fields
}

/** A refusal that no payment can mend: RFC 9457 with `about:blank`. */
export function refusal(status: number, detail: string, headers: [string, string][] = []): Answer {
  const problem = { type: 'about:blank', title: TITLES[status] ?? 'Error', status, detail }
  return {
    status,
    headers: [['content-type', 'application/problem+json'], ['cache-control', 'no-store'], ...headers],
    body: JSON.stringify(problem),
  }
}

/** The body of an answer that asks for money; the id of the first fresh challenge is put in per request. */
export function problemBody(
  code: PaymentErrorCode,
  detail: string,
  status: number,
): (challengeId: string) => string {
  const head = JSON.stringify({ type: problemType(code), title: problemTitle(code), status, detail }).slice(
    0,
    -1,
  )
  return (challengeId) => `${head},"challengeId":"${challengeId}"}`
}

const BODY_STATUS = { 'too-large': 413, 'too-slow': 408, broken: 400 } as const

/** A body that cannot be had is the client's fault, or, if a parser ate it, the programmer's. */
export function bodyFault(error: unknown): Answer {
  if (!(error instanceof BodyError) || error.reason === 'consumed') throw error
  return refusal(BODY_STATUS[error.reason], error.message)
}
