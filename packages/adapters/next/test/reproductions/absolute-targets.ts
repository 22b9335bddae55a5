import assert from 'node:assert'
import { ask } from './ask.ts'

// Next sends a target in absolute form to itself before any handler is asked.
assert.match(
  await ask('http://other.example/plain/x'),
  /^HTTP\/1\.1 308 [^]*location: http:\/\/other\.example\/plain\/x/i,
)
