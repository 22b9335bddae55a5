import assert from 'node:assert'
import { ask } from './ask.ts'

// Of two lines of Authorization, Next shows a handler the first.
assert.match(await ask('/plain', 'Authorization: A 1', 'Authorization: B 2'), /"authorization":"A 1"/)
