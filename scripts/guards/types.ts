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

/** A guard as its list writes it: its file and its package are said once, for all of them. */
export interface Line {
  id: string
  what: string
  find: string
  replace: string
  /** Name of the test file. */
  in: string
  /** A part of the test's name. */
  test: string
  also?: Edit
}

/** The guards that stand in one file of a package. */
export function guardsIn(folder: string, file: string, lines: readonly Line[]): Guard[] {
  return lines.map(({ id, what, find, replace, in: suite, test, also }) => ({
    id,
    what,
    edits: [{ file: `${folder}/src/lib/${file}`, find, replace }, ...(also ? [also] : [])],
    test: { file: `${folder}/test/${suite}.test.ts`, name: test },
  }))
}

/** `A-15` of `A-15b`. */
export function rowOf(id: string): string {
  return id.slice(0, 4)
}
