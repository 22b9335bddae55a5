import assert from 'node:assert'
import { ask } from './ask.ts'

// Next sends a target with two slashes elsewhere before any handler is asked.
assert.match(await ask('//plain/x'), /^HTTP\/1\.1 308 [^]*location: \/plain\/x/i)
