import type { Requirement } from './requirements.ts'

/** That a test with this requirement in its title ran and passed. */
export interface Citation {
  id: string
  /** Name of the test, with the names of its suites before it. */
  title: string
  file: string
}

/** Which requirements are proven, and by what. */
export interface Coverage {
  cited: { requirement: Requirement; by: Citation[] }[]
  /** Done otherwise in a corner, on purpose; may be cited as well. */
  deviating: Requirement[]
  notObservable: Requirement[]
  missing: Requirement[]
  /** Ids that tests cite but no requirement has. */
  unknown: string[]
}

/** Sets the requirements against what the tests cite. */
export function coverage(requirements: readonly Requirement[], citations: readonly Citation[]): Coverage {
  const by = new Map<string, Citation[]>()
  for (const citation of citations) by.set(citation.id, [...(by.get(citation.id) ?? []), citation])
  const ids = new Set(requirements.map(({ id }) => id))
  return {
    cited: requirements.flatMap((requirement) => {
      const own = by.get(requirement.id)
      return own ? [{ requirement, by: own }] : []
    }),
    deviating: requirements.filter(({ status }) => status === 'deviates'),
    notObservable: requirements.filter(({ status }) => status === 'not-observable'),
    missing: requirements.filter(({ id, status }) => status === undefined && !by.has(id)),
    unknown: [...by.keys()].filter((id) => !ids.has(id)).toSorted(),
  }
}

/** The missing requirements that must not be missing: a MUST (NOT) of a server or a client. */
export function unproven({ missing }: Coverage): Requirement[] {
  return missing.filter(({ level, who }) => level.startsWith('MUST') && who !== 'method-spec')
}

/** Reads citations out of the titles of passed tests in a report of `vitest --reporter=json`. */
export function citationsFromReport(json: string): Citation[] {
  const { testResults = [] } = JSON.parse(json) as {
    testResults?: { name: string; assertionResults?: { fullName: string; status: string }[] }[]
  }
  return testResults.flatMap(({ name: file, assertionResults = [] }) =>
    assertionResults.flatMap(({ fullName: title, status }) =>
      status === 'passed' ? idsIn(title).map((id) => ({ id, title, file })) : [],
    ),
  )
}

/** Reads citations that `verifies` has written: JSON, one to a line. */
export function parseCitations(lines: string): Citation[] {
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Citation)
}

/** The requirement ids in a text, each once. */
export function idsIn(text: string): string[] {
  return [...new Set(text.match(/\b(?:CORE|CHG|TC)-\d{3}\b/g))]
}
