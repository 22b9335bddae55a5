import type { Mutant } from './sites.ts'

/** A mutant with the number that switches it on. */
export type Numbered = Mutant & { number: number }

/** The file with all of its mutants in it, asleep: `__on(17)` wakes the seventeenth. */
export function instrument(source: string, mutants: readonly Numbered[]): string {
  const byPlace = new Map<string, Numbered[]>()
  for (const mutant of mutants) {
    const place = `${String(mutant.start)} ${String(mutant.end)}`
    byPlace.set(place, [...(byPlace.get(place) ?? []), mutant])
  }
  // Outermost first; insertions after what begins where they stand.
  const places = [...byPlace.values()].toSorted(
    ([a], [b]) => a!.start - b!.start || b!.end - a!.end || a!.number - b!.number,
  )
  let next = 0
  return weave(0, source.length)

  /** The text between two places, with every mutant that lies in it. */
  function weave(from: number, to: number): string {
    let text = ''
    let at = from
    while (next < places.length && places[next]![0]!.start < to) {
      const here = places[next++]!
      const { start, end } = here[0]!
      text += source.slice(at, start) + wrap(here, weave(start, end))
      at = end
    }
    return text + source.slice(at, to)
  }
}

/** Statements stand in braces, so that no line before them can run into them, and no `else` comes loose. */
function wrap(mutants: readonly Numbered[], inner: string): string {
  let text = inner
  // What does without a statement stands around whatever changes a part of it.
  const inwards = mutants.toSorted(
    (a, b) => Number(a.shape === 'statement') - Number(b.shape === 'statement'),
  )
  for (const { shape, number, replacement } of inwards) {
    if (shape === 'insertion') text = `if (__on(${String(number)})) return;${text}`
    else if (shape === 'statement') text = `{if (!__on(${String(number)})) {${text}}}`
    else text = `(__on(${String(number)}) ? (${replacement}) : (${text}))`
  }
  return text
}

/** The file with one mutant in it, awake. */
export function apply(source: string, { start, end, replacement }: Mutant): string {
  return source.slice(0, start) + replacement + source.slice(end)
}
