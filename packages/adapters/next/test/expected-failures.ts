const LINES = 'Next shows a handler only the first Authorization line'
const PARSED = 'Next routes on a parsed URL and shows no other'
const REDIRECTED = 'Next answers such a target itself, with a redirect to a plain one'

/** By key of the question: why Next cannot meet it. `reproductions/` shows each without mppkit. */
export const expectedFailures: Readonly<Record<string, string>> = {
  several: LINES,
  malformed: LINES,
  'with-login': LINES,
  targets: PARSED,
  'dotted-targets': PARSED,
  'amount-refuses': PARSED,
  'doubtful-targets': REDIRECTED,
  'absolute-targets': REDIRECTED,
  'unread-body': REDIRECTED,
}
