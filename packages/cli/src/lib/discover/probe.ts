import { decodeRequest, parseChallenges } from '@mppkit/core'
import { judge, subjectOf, check, skip, type Verdict } from '@mppkit/testing/conform'
import type { Operation } from './operations.ts'

/** At most so many are asked. */
const MOST = 20

/** Asks what can be asked without knowing anything, unpaid, and compares it with what was announced. */
export async function probe(origin: string, operations: readonly Operation[]): Promise<Verdict[]> {
  const asked = operations.filter(({ plain }) => plain).slice(0, MOST)
  const verdicts: Verdict[] = []
  for (const operation of asked) {
    const subject = subjectOf({ url: origin + operation.path })
    verdicts.push(
      await judge(
        {
          id: `402 of ${operation.method} ${operation.path}`,
          group: 'spec',
          level: 'error',
          requirements: ['DISC-022', 'DISC-044'],
          title: 'What is announced is what the 402 asks',
          remedy:
            'Make the document from the same prices that gate the routes; announce computed amounts as null.',
          async ask() {
            const got = await subject.unpaid()
            const { challenges } = parseChallenges(got.all('www-authenticate'))
            if (got.status !== 402) {
              // A price that depends on the request may ask for nothing.
              const depends = operation.offers?.every(({ amount }) => amount === null) ?? false
              check(
                !operation.annotated || depends || got.status >= 400,
                `a price is announced, and it was answered ${got.status}`,
              )
              return skip(`it was answered ${got.status}`)
            }
            check(operation.annotated, 'it asks for money, and nothing is announced')
            const { offers = skip('what is announced cannot be read') } = operation
            for (const { method, intent, amount, currency } of offers) {
              const challenge = challenges.find((one) => one.method === method && one.intent === intent)
              check(challenge, `${method}/${intent} is announced, and not offered`)
              const request = decodeRequest(challenge.request)
              check(
                amount === null || request.amount === amount,
                `${amount} is announced, and ${JSON.stringify(request.amount)} is asked`,
              )
              check(
                currency === undefined || request.currency === currency,
                `${currency} is announced, and ${JSON.stringify(request.currency)} is asked`,
              )
            }
            return `${offers.length} offers`
          },
        },
        subject,
      ),
    )
  }
  return verdicts
}
