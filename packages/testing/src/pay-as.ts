export type { TestedApp } from './lib/tested-app.ts'
export { payAs, type Payer } from './lib/pay-as.ts'
