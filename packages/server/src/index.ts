export { adapter, ledger, twoGates, type Ledger, type Mpp } from './lib/adapter.ts'
export { toResponse } from './lib/answer.ts'
export { onceClosed } from './lib/closed.ts'
export type { Cors } from './lib/cors.ts'
export { deliver, delivery, type Delivery } from './lib/deliver.ts'
export { createMpp, paid, payment, type FetchHandler } from './lib/fetch.ts'
export { createGates, type Gates, type MppOptions } from './lib/gates.ts'
export type { FaultPoint } from './lib/attempt.ts'
export { memoryStore } from './lib/memory-store.ts'
export type { Api, Described, OpenApiDocument, Operation, Path, Service } from './lib/openapi.ts'
export type { PaymentEvent, PaymentTrace } from './lib/operator.ts'
export type { Page, PageOption } from './lib/page.ts'
export type { Amount, Price, PriceRequest, PriceTerms } from './lib/price.ts'
export {
  BodyError,
  type Answer,
  type Decision,
  type Gate,
  type Grant,
  type Incoming,
  type Kept,
  type Offer,
  type Opening,
  type Outcome,
  type Payment,
  type Transport,
} from './lib/seam.ts'
export type { ShadowEvent } from './lib/shadow.ts'
export { sideTable, type SideTable } from './lib/side-table.ts'
export type { Standing } from './lib/startup.ts'
export type { Step } from './lib/steps.ts'
export type { TrustProxy } from './lib/trust.ts'
export { peerOf, readBody, targetOf, transportOf, waitUntilOf, type Beside } from './lib/web.ts'
