import { defectsIn } from './types.ts'

const folder = 'packages/server/src/lib'

/** What a credential is judged by. */
export const judging = [
  ...defectsIn(`${folder}/judging.ts`, [
    {
      id: 'hmac-skipped',
      find: "if (!(typeof valid === 'boolean' ? valid : await valid)) invalid('This challenge was not issued here.')",
      replace: '',
      says: 'a buyer writes his own challenge',
    },
    {
      id: 'realm-skipped',
      find: "if (challenge.realm !== realm) invalid('This challenge belongs to another realm.')",
      replace: '',
      says: 'a challenge of another server under the same secret is taken',
    },
    {
      id: 'scope-skipped',
      find: "if (bound !== scope) return elsewhere('This challenge was issued for another request.')",
      replace: '',
      says: 'a payment for one route buys another',
    },
    {
      id: 'body-skipped',
      find: 'if ((await digestOf(request, price)) === challenge.digest) return undefined',
      replace: 'return undefined',
      says: 'a payment for one body buys another',
    },
    {
      id: 'price-header-skipped',
      find: '      headers !== undefined &&\n      headers !==',
      replace: '      headers === undefined &&\n      headers !==',
      says: 'a payment at one header’s price buys another’s',
    },
    {
      id: 'terms-skipped',
      find: 'terms: () => isOurs && rail !== undefined && rail.stands(challenge.request, decoded)',
      replace: 'terms: () => true',
      says: 'yesterday’s price is still good',
    },
    {
      id: 'other-header-taken',
      find: 'if (tokens.length > 0 || malformed !== undefined)\n      return refusal(400, `Send the payment credential in ${credentialHeader} only.`)',
      replace: 'if (tokens.length > 0) return tokens[0]',
      says: 'a credential in the header that is not asked for is taken',
    },
    {
      id: 'first-of-two',
      find: "if (tokens.length > 1) return refusal(400, 'Send exactly one payment credential.')",
      replace: '',
      says: 'of two credentials one is used up',
    },
    {
      id: 'malformed-unpaid',
      find: "if (malformed !== undefined) return new PaymentError('malformed-credential', malformed)",
      replace: '',
      says: 'a credential that cannot be read counts as none',
    },
    {
      id: 'long-field',
      find: 'const LONGEST_FIELD = 65_536',
      replace: 'const LONGEST_FIELD = 2_000',
      says: 'a credential of 4 KB is turned away',
    },
    {
      id: 'never-limited',
      find: 'if (seconds > 0) throw new Limited(seconds)',
      replace: '',
      says: 'bad proofs are looked at without end',
    },
  ]),
  ...defectsIn(`${folder}/trust.ts`, [
    {
      id: 'hop-believed',
      find: 'if (trust === undefined) return ({ transport, remote }) => ({ transport, remote, forwarded: false })',
      replace: 'if (trust === undefined) return (request) => forwarded(request, 1)',
      says: 'whoever says https is believed',
    },
  ]),
  ...defectsIn('packages/core/src/lib/binding.ts', [
    {
      id: 'rotation-broken',
      find: 'return anyEqual([own, ...others.map((sign) => sign(input))], challenge.id)',
      replace: 'return anyEqual([own], challenge.id)',
      says: 'a rotation of the secret refuses what was quoted before',
    },
    {
      id: 'digest-unbound',
      find: 'return `${realm}|${method}|${intent}|${request}|${expires}|${digest}|${opaque}`',
      replace: 'return `${realm}|${method}|${intent}|${request}|${expires}|${opaque}`',
      says: 'the id does not cover the digest',
    },
  ]),
]
