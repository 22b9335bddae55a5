/** The field line that recipes build on. */
const BASE =
  'Payment id="c1", realm="api.example.com", method="tempo", intent="charge", ' +
  'request="eyJhbW91bnQiOiIxMDAwIiwiY3VycmVuY3kiOiJ1c2QifQ"'

const COUNTS: Record<string, number> = { a: 1, an: 1, one: 1, two: 2, three: 3, four: 4 }
const THINGS: Record<string, string> = {
  backslash: '\\',
  quote: '"',
  comma: ',',
  space: ' ',
  blank: ' ',
  tab: '\t',
  slash: '/',
  dot: '.',
  semicolon: ';',
  bracket: '[',
  brace: '{',
}

/** Field lines by the id of the vector that holds them. */
export type Lines = ReadonlyMap<string, string>

/**
 * The long input that a recipe describes; undefined for a recipe in words that are not known.
 *
 *     join("<separator>", for i in 0..99: <term>)
 *     term: "text"  or  V-CH-01  or  V-CH-01 with name="value"  or  V-CH-01 plus <text>
 *
 * In texts `<i>` is the index, and `<32768 times two backslashes>` or `<100 times "ab">` a repetition. What follows a
 * semicolon outside of all brackets is a remark.
 */
export function cook(recipe: string, lines: Lines): string | undefined {
  const join = /^join\("([^"]*)", for i in ([0-9]+)\.\.([0-9]+): (.*)\)(?:;.*)?$/s.exec(recipe)
  if (join === null) return cookTerm(recipe, lines)
  const [, separator = '', first, last, term = ''] = join
  const items: string[] = []
  for (let index = Number(first); index <= Number(last); index++) {
    const item = cookTerm(term.replaceAll('<i>', String(index)), lines)
    if (item === undefined) return undefined
    items.push(item)
  }
  return items.join(separator)
}

function cookTerm(term: string, lines: Lines): string | undefined {
  const text = /^"(.*)"(?:;.*)?$/s.exec(term)
  if (text !== null) return repeat(text[1]!)
  const reference = /^([VM]-[A-Z]+-[0-9A-Z]+)(?: (with|plus) (.*))?$/s.exec(term)
  if (reference === null) return /^Payment |<[0-9]+ times /.test(term) ? repeat(term) : undefined
  const [, id = '', word, rest = ''] = reference
  const line = lines.get(id) ?? (id === 'V-CH-01' ? BASE : undefined)
  const change = repeat(rest)
  if (line === undefined || change === undefined) return undefined
  if (word === undefined) return line
  return word === 'plus' ? line + change : replaceParameter(line, change)
}

/** `id="c7"` in place of the parameter of that name. */
function replaceParameter(line: string, change: string): string | undefined {
  const name = /^([a-z]+)=/.exec(change)?.[1]
  if (name === undefined) return undefined
  const old = new RegExp(`\\b${name}="[^"]*"`)
  return old.test(line) ? line.replace(old, () => change) : `${line}, ${change}`
}

function repeat(text: string): string | undefined {
  let known = true
  const repeated = text.replaceAll(/<([0-9]+) times ([^>]*)>/g, (_, count: string, what: string) => {
    const unit = unitOf(what)
    known &&= unit !== undefined
    return (unit ?? '').repeat(Number(count))
  })
  return known ? repeated : undefined
}

function unitOf(what: string): string | undefined {
  const quoted = /^(["'])(.*)\1$/s.exec(what)
  if (quoted !== null) return quoted[2]
  const words = what.split(' ')
  const noun = words.pop()!
  const thing = THINGS[noun] ?? THINGS[noun.replace(/s$/, '')] ?? THINGS[noun.replace(/es$/, '')]
  if (thing === undefined) return what.includes(' ') ? undefined : what
  const [word = 'one', ...others] = words
  const count = COUNTS[word]
  return count === undefined || others.length > 0 ? undefined : thing.repeat(count)
}
