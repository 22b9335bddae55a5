import assert from 'node:assert'
import { ask } from './ask.ts'

// Next resolves dot segments before it routes, and shows the handler what they led to.
assert.match(await ask('/other/../plain/x'), /"url":"http:[^"]*:\d+\/plain\/x"/)
assert.match(await ask('/plain/y/%2e%2e/x'), /"url":"http:[^"]*:\d+\/plain\/x"/)
