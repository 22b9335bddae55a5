import assert from 'node:assert'
import { ask } from './ask.ts'

// The question's prices read a query without a value, to which Next adds a sign.
assert.match(await ask('/plain/a?401'), /"url":"http:[^"]*\/plain\/a\?401="/)
