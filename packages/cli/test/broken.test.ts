import { createToyLedger, toyWallet } from '@mppkit/testing/toy'
import { conform, playMoney, questions, type Report } from '@mppkit/testing/conform'
import { afterEach, describe, expect, test } from 'vitest'
import { broken, type Broken, type Flaw } from './broken/flaws.ts'
import { openShop, type Shop } from './broken/toy-shop.ts'

let shop: Shop | undefined
afterEach(() => shop?.close())

async function ask(flaw: Flaw | undefined, asked: Broken['asked'] | 'GET' = 'GET'): Promise<Report> {
  shop = await openShop(flaw)
  return conform({
    url: `${shop.url}/photo`,
    failing: '/failing',
    pay: playMoney(toyWallet({ ledger: createToyLedger(), account: 'alice' })),
    ...(asked.includes('POST') && { body: '{"size":"large"}' }),
    ...(asked.includes('mppkit') && { profile: 'mppkit' }),
  })
}

function failed({ verdicts }: Report): string[] {
  return verdicts.filter(({ outcome }) => outcome === 'failed').map(({ id, detail }) => `${id}: ${detail}`)
}

describe('a correct shop by hand', () => {
  for (const asked of ['mppkit', 'mppkit POST'] as const)
    test(`passes everything that can be asked (${asked})`, async () => {
      const report = await ask(undefined, asked)
      expect(failed(report)).toEqual([])
      const skipped = report.verdicts.filter(({ outcome }) => outcome === 'skipped').map(({ id }) => id)
      expect(skipped).toEqual(
        asked === 'mppkit'
          ? [
              'digest-format',
              'digest-present',
              'large-credential',
              'idempotency-key',
              'tampered-digest',
              'digest-checked',
              'huge-body',
              'chunked-body',
            ]
          : ['large-credential', 'head-priced', 'head-uses-nothing', 'connection-shared'],
      )
    })
})

describe('a broken shop fails by exactly its own question', () => {
  for (const { flaw, question, ...how } of broken as readonly (Broken & { flaw: Flaw })[])
    test(`${flaw}: ${question}`, async () => {
      const report = await ask(flaw, how.asked)
      const lines = failed(report)
      expect(
        lines.map((line) => line.split(':')[0]),
        lines.join('\n'),
      ).toEqual([question])
    })
})

test('every question has a broken shop, or a reason to have none', () => {
  const without = questions
    .map(({ id }) => id)
    .filter((id) => !broken.some(({ question }) => question === id))
  expect(without).toEqual([
    // Needs an address beyond the loopback; run.test.ts asks it at one.
    'over-tls',
    // Asked where nobody pays; with a payer it is `large-payment`.
    'large-credential',
    // Needs a server whose parser of HTTP is broken.
    'unread-body',
  ])
})
