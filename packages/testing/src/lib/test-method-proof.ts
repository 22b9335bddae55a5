import { canonicalize, parseBaseUnits, PaymentError, type JsonObject, type Store } from '@mppkit/core'
import { describe, expect } from 'vitest'
import { verifies } from './cite.ts'
import type { Case, MethodBench } from './test-method-bench.ts'

/** What a rail asks for, and which proofs it takes. */
export function proofQuestions({
  begin,
  moved,
  movedBefore,
  prove,
  quote,
  rail,
  terms,
  unitsOf,
  verify,
}: MethodBench): void {
  describe('quote', () => {
    verifies(
      ['CHG-006', 'CHG-009', 'CHG-010', 'CHG-011', 'CHG-012', 'CHG-016'],
      'asks in the shared fields',
      () => {
        const request = quote({ ...terms(), description: 'd', externalId: 'order-1' })
        expect(parseBaseUnits(request.amount)).toBeGreaterThan(0n)
        expect(request.currency).toEqual(expect.stringMatching(/./))
        const known = ['amount', 'currency', 'recipient', 'description', 'externalId', 'methodDetails']
        expect(Object.keys(request).filter((member) => !known.includes(member))).toEqual([])
        expect(JSON.parse(canonicalize(request))).toEqual(request)
      },
    )

    verifies([], 'is pure: the same terms give the same request, and are left alone', () => {
      const asked = Object.freeze({ ...terms() })
      expect(canonicalize(quote(asked))).toBe(canonicalize(quote(asked)))
      const { amount, ...constant } = quote(asked)
      expect(amount).toBeDefined()
      expect(quote({ ...asked, amount: null })).toEqual(constant)
    })

    verifies(['CHG-020'], 'never rounds: an amount finer than the base unit is a TypeError', () => {
      expect(() => quote({ ...terms(), amount: `0.${'0'.repeat(40)}1` })).toThrow(TypeError)
      expect(() => quote({ ...terms(), amount: '-1' })).toThrow(TypeError)
      expect(() => quote({ ...terms(), amount: '1e3' })).toThrow(TypeError)
    })

    verifies(['CORE-084', 'CORE-039', 'CORE-042'], 'has a name and an intent that can go on the wire', () => {
      expect(rail().method.name).toMatch(/^[a-z]+$/)
      expect(rail().method.intent).toMatch(/^[a-z0-9-]+$/)
    })
  })

  describe('parse', () => {
    verifies([], 'is pure, and gives one key for one proof in any spelling', async () => {
      const { payload, parsed, challenge, request } = await prove()
      const frozen = deepFreeze(structuredClone(payload))
      const again = await rail().method.parse(frozen, challenge, request)
      expect(again).toEqual(parsed)
      const turned = Object.fromEntries(Object.entries(payload).toReversed()) as JsonObject
      expect((await rail().method.parse(turned, challenge, request)).key).toBe(parsed.key)
      expect(parsed.key.length).toBeGreaterThan(0)
      expect(parsed.key.length).toBeLessThanOrEqual(200)
      const other = await prove()
      expect(other.parsed.key).not.toBe(parsed.key)
    })

    verifies(['CORE-002', 'CHG-021'], 'refuses garbage quickly, as the payer’s fault', async () => {
      const { payload, challenge, request } = await prove()
      for (const garbage of garbageFor(payload)) {
        const began = performance.now()
        await expect(async () => rail().method.parse(garbage, challenge, request)).rejects.toThrow(
          PaymentError,
        )
        expect(performance.now() - began).toBeLessThan(500)
      }
    })
  })

  describe('verify', () => {
    verifies(['CHG-028'], 'accepts a good proof, again and again, and moves and writes nothing', async () => {
      const paid = await prove()
      const store = spy(paid.context.store)
      paid.context.store = store
      const difference = await moved(async () => {
        const first = await verify(paid)
        expect(await verify(paid)).toEqual(first)
      })
      expect(difference).toBe(0n)
      expect(store.writes).toBe(0)
    })

    verifies(['CHG-029', 'CORE-006'], 'refuses a proof over less', async () => {
      const { request } = await begin()
      await refuses(prove({ amount: `${unitsOf({ request }) - 1n}` }))
    })

    verifies(['CHG-030'], 'refuses a proof that pays someone else', async () => {
      await refuses(prove({ recipient: rail().otherRecipient }))
    })

    verifies(['CHG-028', 'CORE-082'], 'refuses a proof that was tampered with', async () => {
      const paid = await prove()
      // The name of a transfer, tampered with, is that of one that may still come.
      const expected = movedBefore(paid) ? Error : PaymentError
      for (const payload of tampered(paid.payload)) {
        await expect(async () => {
          const parsed = await rail().method.parse(payload, paid.challenge, paid.request)
          await verify({ ...paid, parsed })
        }).rejects.toThrow(expected)
      }
    })

    async function refuses(proving: Promise<Case>): Promise<void> {
      const paid = await proving
      await expect(verify(paid)).rejects.toThrow(PaymentError)
    }
  })
}

function spy(store: Store): Store & { writes: number } {
  return {
    ...store,
    writes: 0,
    swap(...write) {
      this.writes += 1
      return store.swap(...write)
    },
  }
}

/** Payloads that no rail can mean. */
function garbageFor(payload: JsonObject): JsonObject[] {
  const long = 'A'.repeat(65_536)
  const deep = JSON.parse(`${'{"a":'.repeat(60)}1${'}'.repeat(60)}`) as JsonObject
  const members = Object.keys(payload)
  const replaced = members.flatMap((member) =>
    [long, '', 0, null, true, [], deep].map((value) => ({ ...payload, [member]: value })),
  )
  const dropped = members.map((member) =>
    Object.fromEntries(Object.entries(payload).filter(([own]) => own !== member)),
  )
  return [
    {},
    deep,
    JSON.parse('{"__proto__":{"from":"x","hash":"y"}}') as JsonObject,
    ...replaced,
    ...dropped,
  ]
}

/** The payload with one character changed, in each of its texts. */
function tampered(payload: JsonObject): JsonObject[] {
  return Object.entries(payload).flatMap(([member, value]) => {
    if (typeof value !== 'string' || value === '') return []
    const at = Math.floor(value.length / 2)
    const other = value[at] === 'a' ? 'b' : 'a'
    return [{ ...payload, [member]: value.slice(0, at) + other + value.slice(at + 1) }]
  })
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) deepFreeze(part)
  return Object.freeze(value)
}
