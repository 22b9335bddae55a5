/** Strict RFC 3339 date-time to Unix milliseconds; undefined if it is none. A leap second counts as the second before it plus one. */
export function parseTime(text: string): number | undefined {
  throw new Error(`pending ${text}`)
}

/** Unix seconds as `YYYY-MM-DDTHH:MM:SSZ`. */
export function formatTime(seconds: number): string {
  throw new Error(`pending ${seconds}`)
}
