#!/usr/bin/env node
import { run } from './index.ts'

const code = await run(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  env: process.env,
})

// A configuration that was looked at may hold a client of its store, which would never let go.
process.stdout.write('', () => process.stderr.write('', () => process.exit(code)))
