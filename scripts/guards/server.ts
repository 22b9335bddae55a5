// What the server guards for every rail; its tests use a toy rail.
import { guardsIn, type Elsewhere } from './types.ts'

const folder = 'packages/server'

export const server = [
  ...guardsIn('packages/core', 'json.ts', [
    {
      id: 'A-58c',
      what: 'a credential is not nested without end',
      find: '  if (hasMoreBrackets(text, depth)) checkDepth(text, depth)\n',
      replace: '',
      in: 'json',
      test: 'nesting ends at 64',
    },
  ]),
  ...guardsIn(folder, 'lifecycle.ts', [
    {
      id: 'A-05a',
      what: 'a challenge is claimed by one, before money moves',
      find: '    if (standing) return standing.value ? known(attempt, standing) : undefined\n',
      replace: '',
      in: 'replay',
      test: 'CORE-143 CORE-144, P5, rule 5',
    },
    {
      id: 'A-22h',
      what: 'refused credentials are counted for each remote',
      find: 'if (attempt.remote !== undefined) options.limiter?.count(attempt.remote)',
      replace: '',
      in: 'limits',
      test: 'CORE-160, C36, rule 16',
    },
    {
      id: 'A-25e',
      what: 'a payment in doubt keeps its claims',
      find: 'if (error instanceof PaymentError) await giveUp(store, hold)',
      replace: 'if (error) await giveUp(store, hold)',
      in: 'outage',
      test: 'C27, rules 1 14',
    },
    {
      id: 'A-25f',
      what: 'a payment in doubt is looked for before it is made again',
      find: 'if (note === undefined) return settle(attempt, hold)',
      replace: 'if (hold) return settle(attempt, hold)',
      in: 'outage',
      test: 'rule 1: a rail that calls a look-up a refusal',
    },
    {
      id: 'A-57a',
      what: 'a challenge that has expired, or whose terms changed, buys nothing',
      find: 'if (outdated && !moved) {',
      replace: 'if (!parsed) {',
      in: 'price',
      test: 'C26: a change of the amount: ',
    },
  ]),
  ...guardsIn(folder, 'claims.ts', [
    {
      id: 'A-06f',
      what: 'a proof is claimed for one quote, whatever the challenge',
      find: 'if (taken !== undefined) {',
      replace: 'if (!claim) {',
      in: 'push',
      test: 'A11, rule 12',
    },
  ]),
  ...guardsIn(folder, 'record.ts', [
    {
      id: 'A-05b',
      what: 'who has lost its claim stops',
      find: '    if (standing !== undefined) {\n      this.#lose()',
      replace: '    if (!progress) {\n      this.#lose()',
      in: 'takeover',
      test: 'A2, rules 5 6, C7',
    },
    {
      id: 'A-06g',
      what: 'a proof is remembered as long as any challenge it fits',
      find: 'longest + 60 + GRACE',
      replace: '60 + GRACE',
      in: 'push',
      test: 'A11, rule 12',
    },
    {
      id: 'A-25g',
      what: 'claims outlive the challenge',
      find: 'const GRACE = 15 * 60',
      replace: 'const GRACE = 0',
      in: 'replay',
      test: 'A5, rule 12',
    },
    {
      id: 'A-25h',
      what: 'a payment in doubt is never forgotten',
      find: "ttl: 'forever' }",
      replace: 'ttl: 1 }',
      in: 'redeem',
      test: 'rule 8: a settled record outlives every TTL',
    },
  ]),
  ...guardsIn(folder, 'judging.ts', [
    {
      id: 'A-26g',
      what: 'a challenge is of this realm',
      find: 'if (challenge.realm !== realm) invalid(',
      replace: 'if (!challenge.realm) invalid(',
      in: 'price',
      test: 'C26, promise 4: a challenge of another realm',
    },
    {
      id: 'A-57b',
      what: 'a challenge was issued here, as it stands',
      find: "if (!(typeof valid === 'boolean' ? valid : await valid)) invalid(",
      replace: 'if (!credential) invalid(',
      in: 'limits',
      test: 'CORE-139 CORE-140, rules 3 16: a later expiry',
    },
    {
      id: 'A-57c',
      what: 'a challenge buys the request that it was issued for',
      find: 'if (bound !== scope) ',
      replace: 'if (!scope) ',
      in: 'http',
      test: 'P6, promise 4: a credential is bound to the path',
    },
    {
      id: 'A-57d',
      what: 'a challenge buys the body that it was issued for',
      find: '=== challenge.digest) return undefined',
      replace: '=== challenge.digest || challenge) return undefined',
      in: 'http',
      test: 'CORE-046 CORE-047 CORE-064 CORE-065 CORE-066',
    },
    {
      id: 'A-58a',
      what: 'a credential of more than 64 KB is not read',
      find: '(field?.length ?? 0) > LONGEST_FIELD || ',
      replace: '',
      in: 'http',
      test: 'CORE-120: 8 KB are read',
    },
    {
      id: 'A-58b',
      what: 'one credential at a time',
      find: "if (tokens.length > 1) return refusal(400, 'Send exactly one payment credential.')",
      replace: '',
      in: 'http',
      test: 'CORE-164: several Payment credentials',
    },
  ]),
]

export const elsewhere: Elsewhere[] = [
  {
    row: 'A-07',
    reason:
      'that only one of several signatures of a transaction is mined is a rule of the chain; "an expiring nonce executes once, whoever sponsors it" looks at it',
  },
  {
    row: 'A-14',
    reason: 'that no key consents to another key is refused by the decoder of ox, before our own look at it',
  },
  { row: 'A-28…A-31', reason: 'charges on plain EVM chains: no rail here takes them' },
  { row: 'A-32…A-49', reason: 'sessions: no rail here takes them' },
  { row: 'A-50…A-56', reason: 'subscriptions: no rail here takes them' },
]
