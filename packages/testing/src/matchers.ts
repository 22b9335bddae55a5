export { matchers, type PaymentMatchers, type PaymentTerms } from './lib/matchers.ts'
