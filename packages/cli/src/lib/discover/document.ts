import { NoAnswer } from '@mppkit/testing/conform'

/** What was found at `/openapi.json`. */
export interface Found {
  url: string
  status: number
  headers: Headers
  /** Bytes. */
  size: number
  /** The parsed JSON; undefined where it is none. */
  value: unknown
}

/** Whoever announces more than this is not read on. */
const MOST = 1 << 20

/** Reads the document; nothing is sent but the request for it. Throws `NoAnswer`. */
export async function fetchDocument(origin: string): Promise<Found> {
  const url = `${origin}/openapi.json`
  try {
    const answer = await fetch(url, {
      headers: { accept: 'application/json', origin: 'https://reader.example' },
      // The document of another place says nothing of this origin.
      redirect: 'manual',
      signal: AbortSignal.timeout(10_000),
    })
    const text = await read(answer)
    return {
      url,
      status: answer.status,
      headers: answer.headers,
      size: Buffer.byteLength(text),
      value: parse(text),
    }
  } catch (error) {
    if (error instanceof NoAnswer) throw error
    const { cause, message } = error as Error
    const why = cause instanceof Error ? cause.message || (cause as { code?: string }).code : message
    throw new NoAnswer(`${url}: ${why}`)
  }
}

async function read(answer: Response): Promise<string> {
  const pieces: Uint8Array[] = []
  let size = 0
  for await (const piece of answer.body ?? []) {
    size += piece.length
    if (size > MOST) throw new NoAnswer(`${answer.url} has more than ${MOST} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString()
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
