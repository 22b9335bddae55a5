import { afterAll, beforeAll, describe } from 'vitest'
import { createMethodBench, type RailUnderTest } from './test-method-bench.ts'
import { moneyQuestions } from './test-method-money.ts'
import { proofQuestions } from './test-method-proof.ts'
import { walletQuestions } from './test-method-wallet.ts'

/**
 * Asks a payment rail for every law that the server relies on. `open` is called once.
 *
 * @see `OnceMethod` and `ClientMethod` in `@mppkit/core`
 */
export function testMethod(name: string, open: () => Promise<RailUnderTest>): void {
  describe(`method ${name}`, () => {
    let rail: RailUnderTest
    beforeAll(async () => {
      rail = await open()
    })
    afterAll(() => rail?.close?.())

    const bench = createMethodBench(() => rail)
    proofQuestions(bench)
    moneyQuestions(bench)
    walletQuestions(bench)
  })
}
