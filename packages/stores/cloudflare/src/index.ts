export { PaymentStore, type ObjectState } from './lib/payment-store.ts'
export { cloudflareStore, type StoreNamespace } from './lib/cloudflare-store.ts'
