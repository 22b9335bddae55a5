const SHAPE =
  /^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})$/
const MAX_SECONDS = 253_402_300_799
const MIN_SECONDS = -62_167_219_200

/**
 * Strict RFC 3339 date-time to Unix milliseconds; undefined if it is none. A leap second (the last of a month, in UTC)
 * counts as the second before it plus one.
 *
 * Not `Date.parse`: that one takes 30 February and hour 24, and refuses leap seconds.
 *
 * @see RFC 3339 sections 5.6 and 5.7
 */
export function parseTime(text: string): number | undefined {
  // A credential's `expires` is asked for more than once.
  if (lastRead?.text === text) return lastRead.time
  const time = readTime(text)
  if (time !== undefined) lastRead = { text, time }
  return time
}

let lastRead: { text: string; time: number } | undefined

function readTime(text: string): number | undefined {
  if (!SHAPE.test(text)) return undefined
  const year = Number(text.slice(0, 4))
  const month = Number(text.slice(5, 7))
  const day = Number(text.slice(8, 10))
  const hour = Number(text.slice(11, 13))
  const minute = Number(text.slice(14, 16))
  const second = Number(text.slice(17, 19))
  // Not `Date.UTC`: that one moves the years 0 to 99 into the twentieth century.
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined
  if (hour > 23 || minute > 59 || second > 60) return undefined
  const isUtc = text.charCodeAt(text.length - 1) > 0x39
  const zone = isUtc ? text.length - 1 : text.length - 6
  const offset = isUtc ? 0 : offsetMinutes(text.slice(zone))
  if (offset === undefined) return undefined
  const seconds = date.getTime() / 1000 + (hour * 60 + minute - offset) * 60 + second
  if (second === 60 && !startsMonth(seconds)) return undefined
  // Three digits and no rounding, however many there are.
  const millis = text.charCodeAt(19) === 0x2e ? Number(text.slice(20, Math.min(zone, 23)).padEnd(3, '0')) : 0
  return seconds * 1000 + millis
}

let lastWritten: { seconds: number; text: string } | undefined

/**
 * Unix seconds as `YYYY-MM-DDTHH:MM:SSZ`, rounded down. Throws `TypeError` outside of the years 0 to 9999.
 *
 * @see RFC 3339 section 5.6
 */
export function formatTime(seconds: number): string {
  // Every challenge of a second carries the same `expires`.
  if (lastWritten?.seconds === seconds) return lastWritten.text
  if (!(seconds >= MIN_SECONDS && seconds <= MAX_SECONDS)) throw new TypeError(`not a time: ${seconds}`)
  const text = `${new Date(Math.floor(seconds) * 1000).toISOString().slice(0, 19)}Z`
  lastWritten = { seconds, text }
  return text
}

/** Minutes of `+hh:mm` or `-hh:mm`. */
function offsetMinutes(zone: string): number | undefined {
  const hours = Number(zone.slice(1, 3))
  const minutes = Number(zone.slice(4, 6))
  if (hours > 23 || minutes > 59) return undefined
  return zone.startsWith('-') ? -(hours * 60 + minutes) : hours * 60 + minutes
}

function startsMonth(seconds: number): boolean {
  return seconds % 86_400 === 0 && new Date(seconds * 1000).getUTCDate() === 1
}
