import { PaymentError, type Prepared } from '@mppkit/core'
import { describe, expect } from 'vitest'
import { verifies } from './cite.ts'
import { inapplicable, type MethodBench } from './test-method-bench.ts'

/** The buyer's half of a rail. */
export function walletQuestions({ begin, moved, prove, settle, unitsOf }: MethodBench): void {
  describe('wallet', () => {
    verifies(
      ['CORE-146', 'CHG-032'],
      'tells what it costs before it signs, and signs without moving money',
      async () => {
        const difference = await moved(async () => {
          const { challenge, request, context, wallet } = await begin()
          expect(wallet.supports?.(challenge, request) ?? true).toBe(true)
          const cost = wallet.cost(challenge, request)
          expect(cost.most.amount).toBeGreaterThanOrEqual(unitsOf({ request }))
          if (request.recipient !== undefined) {
            expect(cost.recipients[0]!.toLowerCase()).toBe((request.recipient as string).toLowerCase())
          }
          const prepared = await wallet.prepare(challenge, request, context)
          // What a journal keeps must still pay after a restart.
          const kept = JSON.parse(JSON.stringify(prepared)) as Prepared
          expect(wallet.payload(kept)).toEqual(wallet.payload(prepared))
        })
        expect(difference).toBe(0n)
      },
    )

    verifies(['CORE-146'], 'does not offer to pay what breaks its rules', async () => {
      const { challenge, request, wallet } = await begin()
      for (const amount of ['-1', '1.5', '', '0x10', 5]) {
        expect(() => wallet.cost(challenge, { ...request, amount })).toThrow(PaymentError)
      }
    })

    verifies([], 'finds its own payment again', async (test) => {
      const { wallet, prepared, ...paid } = await prove()
      if (!wallet.find) return inapplicable(test)
      await settle({ ...paid, wallet, prepared })
      expect(await wallet.find(prepared, paid.context)).toBe('moved')
    })

    verifies([], 'sends once, however often it is told to', async (test) => {
      const { wallet, prepared, context } = await prove()
      if (!wallet.send) return inapplicable(test)
      expect(await moved(async () => wallet.send!(prepared, context))).toBe(0n)
    })
  })
}
