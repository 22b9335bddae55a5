export type { App, AppRoute, Reply, Serve, Served } from './adapter-app.ts'
export { startTempo, type LocalTempo, type TempoAccount } from './anvil.ts'
export { createBuyer, type Buyer, type Exchange, type Got, type Raw } from './buyer.ts'
export { verifies } from './cite.ts'
export {
  citationsFromReport,
  coverage,
  idsIn,
  parseCitations,
  unproven,
  type Citation,
  type Coverage,
} from './coverage.ts'
export { drafts, requirements, type Requirement } from './requirements.ts'
export { testAdapter } from './test-adapter.ts'
export type { AdapterOptions } from './test-adapter-bench.ts'
export { testMethod } from './test-method.ts'
export type { RailUnderTest } from './test-method-bench.ts'
export { testStore, type OpenedStore } from './test-store.ts'
export { createToyFaults, type ToyFault, type ToyFaults, type ToyStep } from './toy-faults.ts'
export { createToyLedger, ToyRefusal, type ToyLedger, type ToyOrder, type ToyTransfer } from './toy-ledger.ts'
export { toyWallet, type ToyForgery, type ToyWallet } from './toy-wallet.ts'
export { toyMethod, type ToyCalls, type ToyMethod, type ToyOptions, type ToyProof } from './toy.ts'
export { runVectors, type Vector, type VectorResult } from './vectors.ts'
