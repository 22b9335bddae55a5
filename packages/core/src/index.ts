export { parseAcceptPayment, rankOffers, type PaymentRange } from './lib/accept-payment.ts'
export { formatAmount, parseAmount, parseBaseUnits } from './lib/amount.ts'
export { decodeBase64url, decodeBase64urlText, encodeBase64url } from './lib/base64url.ts'
export { bindingInput, createBinding, type Binding } from './lib/binding.ts'
export {
  decodeOpaque,
  decodeRequest,
  formatChallenge,
  parseChallenges,
  quoteString,
  type Challenge,
  type ParsedChallenges,
} from './lib/challenge.ts'
export type {
  ClientContext,
  ClientMethod,
  Context,
  Cost,
  Entry,
  Money,
  Noted,
  OnceMethod,
  Parsed,
  Prepared,
  Store,
  SwapResult,
  Terms,
  Version,
  Write,
} from './lib/contracts.ts'
export { formatCredential, parseCredential, readAuthorization, type Credential } from './lib/credential.ts'
export { computeDigest, isDigest, verifyDigest } from './lib/digest.ts'
export { parsePaymentInfo, type PaymentOffer } from './lib/discovery.ts'
export { PaymentError, type PaymentErrorCode } from './lib/errors.ts'
export { canonicalize, parseJson, type JsonObject, type JsonValue } from './lib/json.ts'
export {
  MCP_INVALID_PARAMS,
  MCP_PAYMENT_REQUIRED,
  MCP_VERIFICATION_FAILED,
  readMcpCredential,
  type McpReading,
} from './lib/mcp.ts'
export { parseProblem, problemStatus, problemTitle, problemType, type Problem } from './lib/problem.ts'
export { formatReceipt, parseReceipt, type Receipt } from './lib/receipt.ts'
export {
  isPeriodUnit,
  isPositiveInteger,
  isSubscriptionId,
  periodStart,
  type PeriodUnit,
} from './lib/subscription.ts'
export { nodeCrypto } from './lib/runtime.ts'
export { formatTime, parseTime } from './lib/time.ts'
