import { registry } from './registry.ts'

// `next build` looks at the routes without asking them anything.
const unused = new Proxy({}, { get: () => () => undefined })

export const { adapter, delivery, ledger, memoryStore, readBody, targetOf, toResponse, twoGates } =
  (registry()?.server ?? unused) as typeof import('@mppkit/server')
