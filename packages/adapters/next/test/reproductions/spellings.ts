import assert from 'node:assert'
import { ask } from './ask.ts'

// Next shows a handler a query that it has written anew: these two cannot be told apart.
assert.match(await ask('/plain/a?x=%31&y'), /"url":"http:[^"]*\/plain\/a\?x=1&y="/)
assert.match(await ask('/plain/a?x=1&y='), /"url":"http:[^"]*\/plain\/a\?x=1&y="/)
