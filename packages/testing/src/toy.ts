export { createToyFaults, type ToyFault, type ToyFaults, type ToyStep } from './lib/toy-faults.ts'
export {
  createToyLedger,
  ToyRefusal,
  type ToyLedger,
  type ToyOrder,
  type ToyTransfer,
} from './lib/toy-ledger.ts'
export { toyMethod, type ToyCalls, type ToyMethod, type ToyOptions, type ToyProof } from './lib/toy-method.ts'
export { toyWallet, type ToyForgery, type ToyWallet } from './lib/toy-wallet.ts'
