import { parseArgs, type ParseArgsConfig } from 'node:util'

/** The command line cannot be understood, or must not be obeyed; the message says what to write. */
export class Usage extends Error {
  override readonly name = 'Usage'
}

type Options = NonNullable<ParseArgsConfig['options']>
type Parsed<T extends Options> = ReturnType<
  typeof parseArgs<{ options: T; allowPositionals: true; strict: true; args: string[] }>
>

/** Reads options and the one thing that the command is about. Throws `Usage`. */
export function readArguments<const T extends Options>(
  argv: readonly string[],
  options: T,
  what: string,
): { about: string; values: Parsed<T>['values'] } {
  let parsed: Parsed<T>
  try {
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true })
  } catch (error) {
    throw new Usage((error as Error).message.split('. To specify')[0]!)
  }
  const [about, ...more] = parsed.positionals
  if (about === undefined) throw new Usage(`which ${what}?`)
  if (more.length > 0) throw new Usage(`one ${what} at a time; ${JSON.stringify(more[0])} is one too many`)
  return { about, values: parsed.values }
}

/** Whether help was asked for. */
export function wantsHelp(argv: readonly string[]): boolean {
  return argv.includes('--help') || argv.includes('-h')
}

/** An http or https URL. Throws `Usage`. */
export function readUrl(text: string): URL {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new Usage(`${JSON.stringify(text)} is no URL; write e.g. http://localhost:3000/photo`)
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new Usage(`${text} is neither http nor https`)
  return url
}

/** `Name: value` as a pair. Throws `Usage`. */
export function readHeader(text: string): [name: string, value: string] {
  const at = text.indexOf(':')
  if (at < 1) throw new Usage(`${JSON.stringify(text)} is no header; write --header 'Name: value'`)
  return [text.slice(0, at).trim(), text.slice(at + 1).trim()]
}

/** One of a few words. Throws `Usage`. */
export function readChoice<const T extends string>(text: string, choices: readonly T[], name: string): T {
  const found = choices.find((choice) => choice === text)
  if (found === undefined) throw new Usage(`${name} is ${choices.join(' or ')}, not ${JSON.stringify(text)}`)
  return found
}
