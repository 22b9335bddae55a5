import { decodeRequest } from '@mppkit/core'
import { expect } from 'vitest'
import { expectPaid, expectRefusal, switching, withCredential, type Bench } from './test-adapter-bench.ts'
import { toyMethod, type ToyMethod } from './toy-method.ts'

/** What a payment method may add to the wire, and what is left alone of it. */
export function methodQuestions({ alice, ask, gates, ledger, quote, route, send, toy }: Bench): void {
  const rich: ToyMethod = {
    ...toy,
    async settle(...paid) {
      return { ...(await toy.settle(...paid)), block: '17', proof: { of: ['é', 1, true, null] } }
    },
  }
  const receipted = route(
    '/method/receipted',
    { kind: 'text', body: 'content' },
    { with: gates({ methods: [rich] }) },
  )
  ask(
    'receipt-members',
    ['CORE-077', 'CORE-083', 'CORE-112', 'CORE-121'],
    'what a method adds to its receipt reaches the buyer as it is',
    async () => {
      const [challenge] = await quote(receipted)
      const got = await send(withCredential(receipted, await alice.pay(challenge!)))
      expect(expectPaid(got)).toMatchObject({ block: '17', proof: { of: ['é', 1, true, null] } })
      expect(got.get('payment-receipt')).toMatch(/^[A-Za-z0-9_-]+$/)
    },
  )

  /** The toy rail in another version of its own. */
  function versioned(version: number | undefined): ToyMethod {
    const method = toyMethod({ ledger, recipient: 'shop' })
    return {
      ...method,
      quote: (price) => ({
        ...method.quote(price),
        ...(version !== undefined && { methodDetails: { version, network: 'net' } }),
      }),
    }
  }
  const [first, second] = [versioned(undefined), versioned(2)].map((method) =>
    gates({ methods: [method] }).charge({ amount: '1' }),
  )
  let live = first!
  const content = route(
    '/method/versioned',
    { kind: 'text', body: 'content' },
    { gates: [switching(() => live)] },
  )
  ask(
    'method-version',
    ['CORE-059', 'CORE-113', 'CHG-003', 'CHG-016'],
    'a method says its version in methodDetails, and a challenge of one version buys nothing of another',
    async () => {
      live = first!
      const [old] = await quote(content)
      expect(decodeRequest(old!.request).methodDetails).toBeUndefined()
      expectPaid(await send(withCredential(content, await alice.pay(old!))))
      const [early] = await quote(content)
      live = second!
      const [fresh] = await quote(content)
      expect(decodeRequest(fresh!.request).methodDetails).toEqual({ version: 2, network: 'net' })
      const moved = (await ledger.transfers()).length
      expectRefusal(await send(withCredential(content, await alice.pay(early!))), 'invalid-challenge')
      expect((await ledger.transfers()).length).toBe(moved)
      expectPaid(await send(withCredential(content, await alice.pay(fresh!))))
    },
  )
}
