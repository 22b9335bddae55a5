import { isWellFormed } from './text.ts'

export type JsonValue = null | boolean | number | string | JsonValue[] | { [name: string]: JsonValue }
export type JsonObject = { [name: string]: JsonValue }

const MAX_DEPTH = 64

/**
 * Strict I-JSON: no duplicate names, no lone surrogates, finite doubles, nesting at most 64. Throws `SyntaxError`.
 *
 * @see RFC 8259, RFC 7493 section 2
 */
export function parseJson(text: string): JsonValue {
  return parseJsonWithin(text, MAX_DEPTH)
}

/** `parseJson` with another limit of nesting. Throws `SyntaxError`. */
export function parseJsonWithin(text: string, depth: number): JsonValue {
  // Before anything recursive sees the text.
  if (hasMoreBrackets(text, depth)) checkDepth(text, depth)
  let value: JsonValue
  try {
    value = JSON.parse(text) as JsonValue
  } catch {
    // The engine's message quotes the text, which may be a credential.
    throw new SyntaxError('not JSON')
  }
  // JSON.stringify emits neither duplicates nor overflow, and surrogates only as \u: what it reproduces is clean.
  if ((text.includes('\\') && text.includes('\\u')) || JSON.stringify(value) !== text) checkMembers(text)
  return value
}

/**
 * The canonical form of a JSON value. Throws `TypeError` for what JSON cannot say (undefined, NaN, bigint, lone
 * surrogates, instances of classes) and for nesting deeper than 64.
 *
 * @see RFC 8785
 */
export function canonicalize(value: unknown): string {
  return canonical(value, 0)
}

/** Whether a JSON value is an object, not an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function canonical(value: unknown, depth: number): string {
  if (typeof value === 'string') return canonicalString(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`JSON has no ${value}`)
    return String(value === 0 ? 0 : value)
  }
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value !== 'object') throw new TypeError(`JSON has no ${typeof value}`)
  if (depth === MAX_DEPTH) throw new TypeError(`nested deeper than ${MAX_DEPTH}, or a cycle`)
  if (Array.isArray(value)) {
    // Array.from, because map would skip the holes of a sparse array.
    return `[${Array.from(value, (item: unknown) => canonical(item, depth + 1)).join(',')}]`
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  // Objects of another realm have another Object.prototype, whose own prototype is null as well.
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw new TypeError('JSON has plain objects only, not instances of classes')
  }
  // The default order of sort is that of UTF-16 code units, as RFC 8785 section 3.2.3 wants it.
  const names = Object.keys(value).toSorted()
  const members = names.map(
    (name) => `${canonicalString(name)}:${canonical((value as Record<string, unknown>)[name], depth + 1)}`,
  )
  return `{${members.join(',')}}`
}

function canonicalString(text: string): string {
  if (!isWellFormed(text)) throw new TypeError('JSON has no lone surrogates')
  return JSON.stringify(text)
}

/** Whether there are more opening brackets than `limit`; a text without them cannot be nested deeper. */
function hasMoreBrackets(text: string, limit: number): boolean {
  let count = 0
  for (const bracket of ['{', '[']) {
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) {
      if (++count > limit) return true
    }
  }
  return false
}

/** Works on any text; brackets in strings do not count. */
function checkDepth(text: string, limit: number): void {
  let depth = 0
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (quoted) {
      if (code === BACKSLASH) at++
      else if (code === QUOTE) quoted = false
    } else if (code === QUOTE) quoted = true
    else if (code === OPEN_OBJECT || code === OPEN_ARRAY) {
      if (++depth > limit) throw new SyntaxError(`nested deeper than ${limit}`)
    } else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) depth--
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const COMMA = 0x2c
const STRING_END = /["\\]/g
const NUMBER = /-?[0-9][0-9.eE+-]*/y

/** Duplicate names, lone surrogates and overflowing numbers in a text that is known to be JSON, in one pass. */
function checkMembers(text: string): void {
  // One entry per open bracket: the names of an object, or undefined for an array.
  const open: (Set<string> | undefined)[] = []
  let isName = false
  let at = 0
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      const end = endOfString(text, at)
      const word = readString(text, at, end)
      if (isName) {
        const names = open.at(-1)
        if (names?.has(word)) throw new SyntaxError('duplicate member name')
        names?.add(word)
        isName = false
      }
      at = end
    } else if (code === OPEN_OBJECT || code === OPEN_ARRAY) {
      isName = code === OPEN_OBJECT
      open.push(isName ? new Set() : undefined)
      at++
    } else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) {
      isName = false
      open.pop()
      at++
    } else if (code === COMMA) {
      isName = open.at(-1) !== undefined
      at++
    } else {
      NUMBER.lastIndex = at
      const number = NUMBER.exec(text)?.[0]
      if (number !== undefined && !Number.isFinite(Number(number)))
        throw new SyntaxError('number out of range')
      at += number?.length ?? 1
    }
  }
}

/** The index behind the closing quote of the string that starts at `start`. */
function endOfString(text: string, start: number): number {
  STRING_END.lastIndex = start + 1
  while (STRING_END.test(text)) {
    const at = STRING_END.lastIndex
    if (text.charCodeAt(at - 1) === QUOTE) return at
    STRING_END.lastIndex = at + 1
  }
  return text.length
}

function readString(text: string, start: number, end: number): string {
  const raw = text.slice(start + 1, end - 1)
  const word = raw.includes('\\') ? (JSON.parse(text.slice(start, end)) as string) : raw
  if (!isWellFormed(word)) throw new SyntaxError('lone surrogate')
  return word
}
