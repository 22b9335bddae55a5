const LINES = 'Next shows a handler only the first Authorization line'
const PARSED = 'Next routes on a parsed URL and shows no other'

/** By key of the question: why Next cannot meet it. `reproductions/` shows each without mppkit. */
export const expectedFailures: Readonly<Record<string, string>> = {
  'several-lines': LINES,
  'malformed-lines': LINES,
  'with-login-lines': LINES,
  spellings: PARSED,
  'dotted-targets': PARSED,
}
