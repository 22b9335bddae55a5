import { ElysiaCustomStatusResponse, ElysiaFile, StatusMap } from 'elysia'
import type { Answering } from './sending.ts'

/** The status that Elysia will send. */
export function statusOf({ response, set }: Pick<Answering, 'response' | 'set'>, failed: boolean): number {
  const status = typeof set.status === 'string' ? StatusMap[set.status] : (set.status ?? 200)
  // What was there when the handler failed is not what will be sent.
  if (failed) return response instanceof Response && response.status >= 300 ? response.status : status
  if (response instanceof ElysiaCustomStatusResponse) return response.code as number
  return response instanceof Response && response.status !== 200 ? response.status : status
}

/** Whether Elysia sends the value piece by piece. */
export function isStream(value: unknown): boolean {
  return value instanceof ReadableStream || typeof (value as Iterator<unknown> | null)?.next === 'function'
}

/** Elysia streams text as it is, and only Bun sends that. */
export function inBytes(
  body: ReadableStream<Uint8Array | string> | null,
): ReadableStream<Uint8Array<ArrayBuffer>> | null {
  const reader = body?.getReader()
  if (!reader) return null
  const encoder = new TextEncoder()
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await reader.read()
        if (done) controller.close()
        else
          controller.enqueue(
            typeof value === 'string' ? encoder.encode(value) : (value as Uint8Array<ArrayBuffer>),
          )
      },
      cancel: (reason) => reader.cancel(reason),
    },
    // Nothing is asked of the handler before somebody reads it.
    { highWaterMark: 0 },
  )
}

/** Whether the runtime reads the value from the disk by itself. */
export function isFile(value: unknown): boolean {
  return value instanceof ElysiaFile
}

/** Whether these may be the fields of an answer: no name or value of them breaks the line. */
export function isSendable(fields: object): boolean {
  try {
    const lines = Object.entries(fields).flatMap(([name, value]) =>
      [value].flat().map((line): [string, string] => [name, String(line)]),
    )
    return Boolean(new Headers(lines))
  } catch {
    return false
  }
}

/** Sets fields in place. False: the headers are immutable. */
export function putHeaders(headers: object, fields: [name: string, value: string][]): boolean {
  removeHeaders(headers, fields)
  try {
    for (const [name, value] of fields)
      if (headers instanceof Headers) headers.set(name, value)
      else (headers as Record<string, string>)[name] = value
    return true
  } catch {
    return false
  }
}

/** A plain object may hold a field under any case. */
export function removeHeaders(headers: object, fields: [name: string, value: string][]): void {
  if (headers instanceof Headers || fields.length === 0) return
  const names = fields.map(([name]) => name)
  for (const key of Object.keys(headers))
    if (names.includes(key.toLowerCase())) delete (headers as Record<string, unknown>)[key]
}
