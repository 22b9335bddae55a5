export { createClient, type Client, type ClientOptions } from './lib/client.ts'
export type { Offer, Refusal, RefusalCode } from './lib/offer.ts'
export { paymentOf, reasonFor, receiptOf, type Payment, type PaymentEvent } from './lib/outcome.ts'
export { limits, type Limit, type Policy } from './lib/policy.ts'
