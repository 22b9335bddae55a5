import { parseTime, PaymentError, type Noted, type Receipt } from '@mppkit/core'
import { describe, expect } from 'vitest'
import { verifies } from './cite.ts'
import { inapplicable, LIFETIME, type Case, type MethodBench } from './test-method-bench.ts'

/** How a rail moves money, finds it again, and gives it back. */
export function moneyQuestions({
  begin,
  moved,
  movedBefore,
  prove,
  rail,
  settle,
  settleNoted,
  terms,
  unitsOf,
  verify,
}: MethodBench): void {
  describe('settle', () => {
    verifies(
      ['CHG-029', 'CORE-077', 'CORE-078', 'CORE-079'],
      'moves exactly the amount, and says so in a receipt',
      async () => {
        let receipt: Receipt | undefined
        let paid: Case | undefined
        const difference = await moved(async () => {
          paid = await prove()
          await verify(paid)
          receipt = await settle(paid)
        })
        expect(difference).toBe(unitsOf(paid!))
        expect(receipt).toMatchObject({ status: 'success', method: rail().method.name })
        expect(receipt!.reference).toEqual(expect.stringMatching(/^.{1,200}$/))
        const age = rail().now() - parseTime(receipt!.timestamp)!
        expect(Math.abs(age)).toBeLessThan(120_000)
      },
    )

    verifies(
      ['CORE-137', 'CORE-138', 'CHG-037'],
      'is idempotent: twice is one movement and one reference',
      async () => {
        const paid = await prove()
        await verify(paid)
        const first = await settle(paid)
        const difference = await moved(async () => {
          expect((await settle(paid)).reference).toBe(first.reference)
        })
        expect(difference).toBe(0n)
      },
    )

    verifies(['CORE-143', 'CORE-138'], 'survives eight at once: one movement', async () => {
      let paid: Case | undefined
      const difference = await moved(async () => {
        paid = await prove()
        const results = await Promise.allSettled(Array.from({ length: 8 }, () => settle(paid!)))
        const references = results.flatMap((result) =>
          result.status === 'fulfilled' ? result.value.reference : [],
        )
        expect(new Set(references).size).toBe(1)
      })
      expect(difference).toBe(unitsOf(paid!))
    })

    verifies(['CORE-136', 'CORE-137'], 'does not let one proof pay two challenges', async () => {
      const paid = await prove()
      await settle(paid)
      const second = await begin(terms(), paid.wallet)
      const difference = await moved(async () => {
        const parsed = await rail().method.parse(paid.payload, second.challenge, second.request)
        // Either it is refused, or the server knows it by its key.
        const verified = await rail()
          .method.verify(parsed as never, second.context)
          .then(
            () => true,
            (error: unknown) => error instanceof PaymentError && false,
          )
        expect(verified && parsed.key !== paid.parsed.key).toBe(false)
      })
      expect(difference).toBe(0n)
    })

    verifies([], 'moves nothing when its note cannot be written', async (test) => {
      const paid = await prove()
      if (paid.parsed.note !== undefined || movedBefore(paid)) return inapplicable(test)
      const difference = await moved(async () => {
        await expect(settle(paid, () => Promise.reject(new Error('the lease is lost')))).rejects.toThrow(
          Error,
        )
      })
      expect(difference).toBe(0n)
    })

    verifies(['CORE-108'], 'refuses, as the payer’s fault, when the account has nothing', async (test) => {
      const poor = await rail().poorWallet?.()
      if (!poor || rail().method.moves === 'before') return inapplicable(test)
      const difference = await moved(async () => {
        await expect(async () => {
          const paid = await prove({}, terms(), poor)
          await verify(paid)
          await settle(paid)
        }).rejects.toThrow(PaymentError)
      })
      expect(difference).toBe(0n)
    })

    verifies([], 'takes a proof of identity for amount zero, and moves nothing', async (test) => {
      if (rail().method.moves === 'before') return inapplicable(test)
      const difference = await moved(async () => {
        const paid = await prove({}, { ...terms(), amount: '0' })
        const { payer } = await verify(paid)
        expect(payer).toEqual(expect.stringMatching(/./))
        expect(await settle(paid)).toMatchObject({ status: 'success', method: rail().method.name })
      })
      expect(difference).toBe(0n)
    })
  })

  describe('find', () => {
    verifies([], 'gives the receipt of what was settled, without the buyer', async () => {
      const paid = await prove()
      const { receipt, note } = await settleNoted(paid)
      expect(note.length).toBeLessThanOrEqual(2000)
      const found = await rail().method.find(note, paid.context)
      expect(found).toMatchObject({
        status: 'success',
        method: rail().method.name,
        reference: receipt.reference,
      })
    })

    verifies([], 'says "unknown" while the money may still move, and knows it once it has', async (test) => {
      const paid = await prove()
      const freezing = rail().freeze?.()
      if (!freezing) return inapplicable(test)
      const { frozen, thaw } = freezing
      const settling = settleNoted(paid)
      await frozen
      const { note } = paid.parsed
      if (note !== undefined) expect(await rail().method.find(note, paid.context)).toBe('unknown')
      thaw()
      const settled = await settling
      expect(await rail().method.find(settled.note, paid.context)).toMatchObject({
        reference: settled.receipt.reference,
      })
    })

    verifies([], 'says "not-moved" only when it can never move, whoever wakes up later', async (test) => {
      const paid = await prove()
      if (!rail().freeze || paid.parsed.until === undefined) return inapplicable(test)
      let { note } = paid.parsed
      const difference = await moved(async () => {
        const { frozen, thaw } = rail().freeze!()
        const settling = settle(paid, async (text) => void (note = text))
        settling.catch(() => {})
        await frozen
        await rail().advance(LIFETIME + 5)
        expect(await rail().method.find(note!, paid.context)).toBe('not-moved')
        thaw()
        // What was under way may leave it open, where the refusal of a node is no proof; whoever asks from now on is told.
        await expect(settling).rejects.toThrow(Error)
        await expect(settle(paid)).rejects.toThrow(PaymentError)
        expect(await rail().method.find(note!, paid.context)).toBe('not-moved')
      })
      expect(difference).toBe(0n)
    })
  })

  describe('refund', () => {
    verifies([], 'gives the money back once, whatever happens twice', async (test) => {
      const { method } = rail()
      if (!method.refund) return inapplicable(test)
      const refund = (receipt: Receipt, context: Noted): Promise<Receipt> =>
        method.refund!(receipt, { id: 'refund-1' }, context)
      const notes: string[] = []
      const difference = await moved(async () => {
        const paid = await prove()
        const receipt = await settle(paid)
        const context = { ...paid.context, note: async (text: string) => void notes.push(text) }
        const first = await refund(receipt, context)
        expect(await refund(receipt, context)).toEqual(first)
        expect(await rail().method.find(notes[0]!, paid.context)).toMatchObject({
          reference: first.reference,
        })
      })
      expect(difference).toBe(0n)
    })
  })
}
