import { isBlank } from './text.ts'

/** One challenge of a `WWW-Authenticate` line, of whatever scheme. */
export interface AuthChallenge {
  /** In lower case. */
  scheme: string
  /** Names in lower case, values unquoted; in the order of the line, repeats included. */
  parameters: [name: string, value: string][]
  token68?: string
  /** What broke the grammar inside of this challenge; the rest of the line was not read. */
  error?: string
}

/**
 * The challenges of one field line. A challenge is complete when another one follows it, or the line ends; what breaks
 * the grammar before that spoils this challenge, and nothing behind it is read.
 *
 * @see RFC 9110 sections 11.2, 11.3, 11.6.1 and 5.6
 */
export function readAuthLine(line: string): AuthChallenge[] {
  const challenges: AuthChallenge[] = []
  const cursor = new Cursor(line)
  let current: AuthChallenge | undefined
  let takesParameters = false
  while (cursor.skipSeparators()) {
    const parameter = takesParameters ? cursor.parameter() : undefined
    if (current !== undefined && parameter !== undefined) {
      current.parameters.push(parameter)
    } else {
      const scheme = cursor.failed ? undefined : cursor.token()
      if (scheme === undefined) return spoil(challenges, takesParameters ? current : undefined, cursor)
      current = { scheme: scheme.toLowerCase(), parameters: [] }
      challenges.push(current)
      takesParameters = cursor.skipSpaces()
      if (takesParameters && !cursor.atSeparator()) {
        const first = cursor.parameter()
        if (first !== undefined) current.parameters.push(first)
        else {
          const token68 = cursor.token68()
          if (token68 === undefined) return spoil(challenges, current, cursor)
          current.token68 = token68
          takesParameters = false
        }
      }
    }
    if (!cursor.atSeparator()) return spoil(challenges, current, cursor)
  }
  return challenges
}

function spoil(
  challenges: AuthChallenge[],
  current: AuthChallenge | undefined,
  cursor: Cursor,
): AuthChallenge[] {
  if (current !== undefined) current.error = `bad syntax at character ${cursor.at}`
  return challenges
}

const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y
const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*/y
/** `qdtext`; characters beyond a byte are let through for runtimes that decode field values. */
const QUOTED = /[\t !#-[\]-~\u0080-\uffff]*/y
const COMMA = 0x2c
const EQUALS = 0x3d
const QUOTE = 0x22
const BACKSLASH = 0x5c
const SPACE = 0x20

class Cursor {
  at = 0
  /** Whether `parameter` saw the start of a parameter and not its end. */
  failed = false
  readonly #line: string

  constructor(line: string) {
    this.#line = line
  }

  /** Passes commas and blanks; false at the end of the line. */
  skipSeparators(): boolean {
    while (this.at < this.#line.length) {
      const code = this.#line.charCodeAt(this.at)
      if (code !== COMMA && !isBlank(code)) return true
      this.at++
    }
    return false
  }

  /** Whether nothing but blanks is left before a comma or the end; passes the blanks if so. */
  atSeparator(): boolean {
    const end = this.#afterBlanks(this.at)
    if (end < this.#line.length && this.#line.charCodeAt(end) !== COMMA) return false
    this.at = end
    return true
  }

  /** The grammar wants spaces behind a scheme, not tabs. */
  skipSpaces(): boolean {
    const start = this.at
    while (this.#line.charCodeAt(this.at) === SPACE) this.at++
    return this.at > start
  }

  token(): string | undefined {
    return this.#match(TOKEN)
  }

  /** A token68 up to a comma or the end. */
  token68(): string | undefined {
    const start = this.at
    const token68 = this.#match(TOKEN68)
    if (token68 !== undefined && this.atSeparator()) return token68
    this.at = start
    return undefined
  }

  /** `name=value`. Stays where it was if there is none; `failed` tells whether it began like one. */
  parameter(): [string, string] | undefined {
    const start = this.at
    const name = this.#match(TOKEN)
    if (name === undefined) return undefined
    const equals = this.#afterBlanks(this.at)
    if (this.#line.charCodeAt(equals) === EQUALS) {
      this.at = this.#afterBlanks(equals + 1)
      const value = this.#line.charCodeAt(this.at) === QUOTE ? this.#quoted() : this.#match(TOKEN)
      if (value !== undefined) return [name.toLowerCase(), value]
      this.failed = true
    }
    this.at = start
    return undefined
  }

  #quoted(): string | undefined {
    const pieces: string[] = []
    let start = this.at + 1
    QUOTED.lastIndex = start
    for (;;) {
      QUOTED.test(this.#line)
      const end = QUOTED.lastIndex
      const code = this.#line.charCodeAt(end)
      if (code === QUOTE) {
        this.at = end + 1
        const last = this.#line.slice(start, end)
        return pieces.length === 0 ? last : pieces.join('') + last
      }
      if (code !== BACKSLASH || !isQuotable(this.#line.charCodeAt(end + 1))) return undefined
      pieces.push(this.#line.slice(start, end))
      start = end + 1
      QUOTED.lastIndex = end + 2
    }
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const text = pattern.exec(this.#line)?.[0]
    if (text !== undefined) this.at += text.length
    return text
  }

  #afterBlanks(at: number): number {
    while (isBlank(this.#line.charCodeAt(at))) at++
    return at
  }
}

/** What may stand behind a backslash; NaN, the end of the line, may not. */
function isQuotable(code: number): boolean {
  return code === 0x09 || (code >= 0x20 && code !== 0x7f)
}
