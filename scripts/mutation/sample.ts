import { createHash } from 'node:crypto'

/** So many of them, by a lot that each draws from the seed and its own id: what is added elsewhere changes nobody's. */
export function choose<T extends { id: string }>(all: readonly T[], count: number, seed: string): T[] {
  const lot = ({ id }: T): string => createHash('sha256').update(`${seed} ${id}`).digest('hex')
  const chosen = all
    .map((item) => ({ item, lot: lot(item) }))
    .toSorted((a, b) => (a.lot < b.lot ? -1 : 1))
    .slice(0, count)
  const kept = new Set(chosen.map(({ item }) => item))
  return all.filter((item) => kept.has(item))
}

/** By what a function says of each; in the order in which it first says so. */
export function groupBy<T>(all: readonly T[], by: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of all) {
    const group = groups.get(by(item))
    if (group) group.push(item)
    else groups.set(by(item), [item])
  }
  return groups
}
