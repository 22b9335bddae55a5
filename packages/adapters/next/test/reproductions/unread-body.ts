import assert from 'node:assert'
import { ask } from './ask.ts'

// One target of the question begins with two slashes: Next sends it elsewhere before any handler is asked.
assert.match(await ask('//plain/x'), /^HTTP\/1\.1 308 [^]*location: \/plain\/x/i)
