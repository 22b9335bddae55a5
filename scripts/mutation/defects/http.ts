import { defectsIn } from './types.ts'

const folder = 'packages/server/src/lib'

/** What the gate says over HTTP. */
export const http = [
  ...defectsIn(`${folder}/asking.ts`, [
    {
      id: 'no-store-on-402',
      find: "    ['cache-control', 'no-store'],\n    ['content-type', 'application/problem+json'],\n    ['access",
      replace: "    ['content-type', 'application/problem+json'],\n    ['access",
      says: 'a cache gives one buyer’s challenge to another',
    },
    {
      id: 'problem-type',
      find: "['content-type', 'application/problem+json'],\n    ['access",
      replace: "['content-type', 'application/json'],\n    ['access",
      says: 'clients do not know the body for a problem',
    },
    {
      id: 'expose-missing',
      find: "    ['access-control-expose-headers', EXPOSED],\n  ]",
      replace: '  ]',
      says: 'scripts cannot read the challenge',
    },
    {
      id: 'vary-missing',
      find: "if (asked.vary) headers.push(['vary', asked.vary])",
      replace: '',
      says: 'a cache mixes up prices that depend on a header',
    },
    {
      id: 'header-parameter-missing',
      find: "credentialHeader === 'authorization' ? '' : ', header=\"Payment-Authorization\"'",
      replace: "credentialHeader === 'authorization' ? '' : ''",
      says: 'the buyer does not learn which header takes the credential',
    },
    {
      id: 'null-is-zero',
      find: 'if (said === null) return undefined',
      replace: "if (said === null) return { amount: '0', bound: undefined }",
      says: 'a request that the price function lets in free is asked for a proof',
    },
    {
      id: 'refusal-ignored',
      find: "if (typeof said === 'object') return checkedAnswer(said)",
      replace: "if (typeof said === 'object') return CONSTANT",
      says: 'a price function’s refusal is not sent',
    },
    {
      id: 'digest-never',
      find: 'return bytes.length === 0 ? undefined : computeDigest(bytes)',
      replace: 'return undefined',
      says: 'a payment is not bound to the body',
    },
    {
      id: 'digest-of-nothing',
      find: 'return bytes.length === 0 ? undefined : computeDigest(bytes)',
      replace: 'return computeDigest(bytes)',
      says: 'a request without a body has a digest',
    },
    {
      id: 'price-header-unbound',
      find: 'return { amount: said, bound, vary',
      replace: 'return { amount: said, bound: undefined, vary',
      says: 'a challenge for the cheap header buys the dear one',
    },
    {
      id: 'accept-payment-ignored',
      find: 'if (accept === null || rails.length === 1) return rails',
      replace: 'if (accept !== undefined) return rails',
      says: 'a buyer’s choice of rails is not heard',
    },
    {
      id: 'expiry-short',
      find: 'formatTime(seconds + lifetime)',
      replace: 'formatTime(seconds + lifetime * 1000)',
      says: 'challenges live for days',
    },
  ]),
  ...defectsIn(`${folder}/http.ts`, [
    {
      id: 'target-unchecked',
      find: 'if (fault !== undefined) return respond(refusal(400, fault))',
      replace: '',
      says: 'a target that two parties read differently is priced',
    },
    {
      id: 'plain-http-taken',
      find: 'if (refused !== undefined) return respond(refusal(403, refused))',
      replace: '',
      says: 'credentials travel in the clear',
    },
    {
      id: 'options-runs',
      find: "if (request.method === 'OPTIONS')\n      return respond({ status: 204, headers: [['cache-control', 'no-store']], body: null })",
      replace: "if (request.method === 'OPTIONS') return { kind: 'pass' }",
      says: 'a preflight runs the handler, unpaid',
    },
    {
      id: 'options-charged',
      find: "if (request.method === 'OPTIONS')",
      replace: 'if (false)',
      says: 'a preflight is asked for money',
    },
    {
      id: 'head-paid',
      find: "if (request.method === 'HEAD')\n      return",
      replace: "if (request.method === 'HEAD' && false)\n      return",
      says: 'HEAD uses up a payment and shows nothing for it',
    },
    {
      id: 'key-unchecked',
      find: "return key !== null && (key === '' || key.length > 255)",
      replace: 'return false',
      says: 'a buyer pays under a key that cannot be used',
    },
    {
      id: 'receipt-on-500',
      find: "if (status >= 300) return [['cache-control', 'no-store'], ...shared]",
      replace: "if (status >= 600) return [['cache-control', 'no-store'], ...shared]",
      says: 'an error comes with a receipt',
    },
    {
      id: 'receipt-missing',
      find: "return [['payment-receipt', receipt], ['cache-control', 'private'], ...shared]",
      replace: "return [['cache-control', 'private'], ...shared]",
      says: 'a paid answer has no receipt',
    },
    {
      id: 'paid-is-public',
      find: "return [['payment-receipt', receipt], ['cache-control', 'private'], ...shared]",
      replace: "return [['payment-receipt', receipt], ...shared]",
      says: 'a cache gives paid content away',
    },
    {
      id: 'error-stored',
      find: "if (status >= 300) return [['cache-control', 'no-store'], ...shared]",
      replace: 'if (status >= 300) return [...shared]',
      says: 'a paid failure is kept by caches',
    },
    {
      id: 'cors-missing-on-paid',
      find: 'const shared = cors?.headers(request) ?? []',
      replace: 'const shared: [string, string][] = []',
      says: 'a script pays and cannot read what it bought',
    },
    {
      id: 'retry-after-missing',
      find: 'verdict.retry ? [RETRY] : []',
      replace: '[]',
      says: 'a copy is told that it comes too late for ever',
    },
    {
      id: 'retry-after-always',
      find: 'verdict.retry ? [RETRY] : []',
      replace: '[RETRY]',
      says: 'a buyer who can never win tries for ever',
    },
    {
      id: 'outage-402',
      find: 'return refusal(503, verdict.detail, [RETRY])',
      replace: 'return refusal(402, verdict.detail, [RETRY])',
      says: 'an outage invites a second payment',
    },
    {
      id: 'outage-without-retry',
      find: 'return refusal(503, verdict.detail, [RETRY])',
      replace: 'return refusal(503, verdict.detail)',
      says: 'a client does not know that it may send the credential again',
    },
    {
      id: 'elsewhere-402',
      find: 'if (!moved && !(await lifecycle.isOpen(quote))) return askAgain(request, scope, fault)',
      replace: 'return askAgain(request, scope, fault)',
      says: 'who has paid for another request is asked to pay again',
    },
    {
      id: 'amount-judges-paid',
      find: 'if (!entry && !moved) {',
      replace: 'if (true) {',
      says: 'a price function that changed its mind traps paid money',
    },
    {
      id: 'kept-with-length',
      find: 'headers: answer.headers.filter(([name]) => !PASSING.has(name.toLowerCase()))',
      replace: 'headers: answer.headers',
      says: 'a kept answer repeats the first connection’s own headers',
    },
    {
      id: 'keep-nothing',
      find: 'keeps: run.keeps ? KEPT_BYTES : 0',
      replace: 'keeps: 0',
      says: 'an answer that got lost cannot be had again',
    },
  ]),
  ...defectsIn(`${folder}/answer.ts`, [
    {
      id: 'refusal-stored',
      find: "['cache-control', 'no-store'], ...headers]",
      replace: '...headers]',
      says: 'a cache goes on refusing',
    },
    {
      id: 'body-fault-500',
      find: 'return refusal(BODY_STATUS[error.reason], error.message)',
      replace: 'throw error',
      says: 'a body that is too large is the server’s error',
    },
  ]),
  ...defectsIn(`${folder}/cors.ts`, [
    {
      id: 'cors-any-origin',
      find: 'if (origin === null || !cors.includes(origin)) return []',
      replace: 'if (origin === null) return []',
      says: 'every site may pay with a visitor’s cookies',
    },
  ]),
  ...defectsIn(`${folder}/target.ts`, [
    {
      id: 'target-dots',
      find: "if (code === 0x2f && isDotSegment(target, i + 1, end)) return 'The path must not hold dot segments.'",
      replace: '',
      says: '/cheap/../dear is priced',
    },
    {
      id: 'scope-path-only',
      find: 'if (target.length <= LONGEST) return `${verb} ${target}`',
      replace: "if (target.length <= LONGEST) return `${verb} ${target.split('?')[0] ?? ''}`",
      says: 'a payment for one query buys all of them',
    },
    {
      id: 'scope-any-method',
      find: 'if (target.length <= LONGEST) return `${verb} ${target}`',
      replace: 'if (target.length <= LONGEST) return target',
      says: 'a payment for GET buys DELETE',
    },
    {
      id: 'scope-long-cut',
      find: 'const digest = hash(target)',
      replace: 'const digest = hash(target.slice(0, LONGEST))',
      says: 'long targets that begin alike are one',
    },
  ]),
]
