import { randomText } from './runtime.ts'

/** A new quote: when it was issued (base36 seconds) and 96 random bits. It is the payment's id. */
export function newQuote(seconds: number): string {
  return `${seconds.toString(36)}.${randomText()}`
}

/** Unix seconds at which a quote was issued; undefined if it is none. */
export function issuedAt(quote: string): number | undefined {
  const match = /^([0-9a-z]{1,9})\.[A-Za-z0-9_-]{16}$/.exec(quote)
  return match ? Number.parseInt(match[1] as string, 36) : undefined
}
