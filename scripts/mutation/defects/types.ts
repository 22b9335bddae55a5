/** Something that a hand could have done wrong: an exact text of a source, and what stands there instead. */
export interface Defect {
  id: string
  file: string
  /** Must stand there exactly once. */
  find: string
  replace: string
  /** What a buyer or a seller would suffer. */
  says: string
}

/** The defects of one file. */
export function defectsIn(file: string, list: readonly Omit<Defect, 'file'>[]): Defect[] {
  return list.map((defect) => ({ ...defect, file }))
}
