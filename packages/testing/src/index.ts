export type { App, AppRoute, Reply, Serve, Served } from './lib/adapter-app.ts'
export type { Wire } from './lib/buyer-wire.ts'
export { createBuyer, type Buyer, type Exchange, type Got, type Raw } from './lib/buyer.ts'
export { verifies } from './lib/cite.ts'
export {
  citationsFromReport,
  coverage,
  idsIn,
  parseCitations,
  unproven,
  type Citation,
  type Coverage,
} from './lib/coverage.ts'
export { drafts, requirements, type Requirement } from './lib/requirements.ts'
export { testAdapter } from './lib/test-adapter.ts'
export type { AdapterOptions } from './lib/test-adapter-bench.ts'
export { testMethod } from './lib/test-method.ts'
export type { RailUnderTest } from './lib/test-method-bench.ts'
export { testStore, type OpenedStore } from './lib/test-store.ts'
export { runVectors, type Vector, type VectorResult } from './vectors.ts'
