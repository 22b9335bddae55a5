/** A text that stands exactly once in a file, and what stands there once the guard is gone. */
export interface Edit {
  file: string
  find: string
  replace: string
}

/** What stands against an attack, and the test that notices when it is gone. */
export interface Guard {
  /** The row of the attack, with a letter where it takes several guards. */
  id: string
  what: string
  /** Several where the same check is made in several places, one behind the other. */
  edits: readonly [Edit, ...Edit[]]
  test: { file: string; name: string }
}

/** A row that no code of ours can guard alone. */
export interface Elsewhere {
  row: string
  reason: string
}

/** Guards in one file, written short: id, what, find, replace, test file, test name, further edits. */
export type Line = readonly [
  id: string,
  what: string,
  find: string,
  replace: string,
  test: string,
  name: string,
  also?: Edit,
]

export function guardsIn(folder: string, file: string, lines: readonly Line[]): Guard[] {
  return lines.map(([id, what, find, replace, test, name, also]) => ({
    id,
    what,
    edits: [{ file: `${folder}/src/lib/${file}`, find, replace }, ...(also ? [also] : [])],
    test: { file: `${folder}/test/${test}.test.ts`, name },
  }))
}

/** `A-15` of `A-15b`. */
export function rowOf(id: string): string {
  return id.slice(0, 4)
}
