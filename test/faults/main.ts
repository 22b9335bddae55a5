// `npm run faults -- --payments 10000 --store redis`: many payments, everything that can go wrong, and an audit of what
// became of the money. Ends with "lost 0, double 0, free 0", or with the traces of the payments concerned and exit code 1.
import { parseArgs } from 'node:util'
import { run } from './lib/run.ts'
import { GUARDS, STORES } from './lib/settings.ts'

const { values } = parseArgs({
  options: {
    payments: { type: 'string', default: '500' },
    store: { type: 'string', default: 'sqlite' },
    seed: { type: 'string', default: '1' },
    concurrency: { type: 'string', default: '80' },
    /** Divides the times at which recovery looks; for short runs. */
    hurry: { type: 'string', default: '1' },
    without: { type: 'string' },
    'no-tempo': { type: 'boolean', default: false },
    'no-tempo-refund': { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    quiet: { type: 'boolean', default: false },
  },
})

const started = Date.now()
const code = await run({
  payments: whole('payments'),
  seed: whole('seed'),
  concurrency: whole('concurrency'),
  hurry: whole('hurry'),
  store: oneOf('store', STORES, values.store),
  tempo: !values['no-tempo'],
  refunds: !values['no-tempo-refund'],
  keep: values.keep,
  ...(values.without !== undefined && { without: oneOf('without', GUARDS, values.without) }),
  say(line) {
    if (!values.quiet) console.log(`[${((Date.now() - started) / 1000).toFixed(0).padStart(4)} s] ${line}`)
  },
})
process.exit(code)

function whole(name: 'payments' | 'seed' | 'concurrency' | 'hurry'): number {
  const number = Number(values[name])
  if (!Number.isSafeInteger(number) || number < 1)
    throw new TypeError(`--${name} must be a whole number above 0`)
  return number
}

function oneOf<Name extends string>(option: string, names: readonly Name[], given: string): Name {
  const name = names.find((each) => each === given)
  if (name === undefined) throw new TypeError(`--${option} must be one of ${names.join(', ')}`)
  return name
}
