import {
  canonicalize,
  encodeBase64url,
  formatTime,
  parseBaseUnits,
  parseTime,
  PaymentError,
  type Challenge,
  type ClientMethod,
  type Context,
  type JsonObject,
  type Noted,
  type OnceMethod,
  type Parsed,
  type Prepared,
  type Receipt,
  type Store,
  type Terms,
} from '@mppkit/core'
import { memoryStore } from '@mppkit/server'
import { afterAll, beforeAll, describe, expect, type TestContext } from 'vitest'
import { verifies } from './cite.ts'

/** A payment rail with both its halves, and a hand on the world behind it. */
export interface RailUnderTest {
  method: OnceMethod<never>
  /** A buyer's half with a fresh account that has money. */
  wallet(): Promise<ClientMethod>
  /** A buyer's half whose account has nothing. */
  poorWallet?(): Promise<ClientMethod>
  /** What the method is asked for; must cost something. Default: `amount: '1'` and the method's own defaults. */
  terms?: Terms
  /** Someone else who could be paid. */
  otherRecipient: string
  /** What the recipient of `terms` has received so far, in base units. */
  received(): Promise<bigint>
  /** The clock by which the rail judges, in Unix milliseconds. */
  now(): number
  /** Puts that clock forward. */
  advance(seconds: number): Promise<void>
  /** Holds back whatever the next `settle` sends, after its note. */
  freeze?(): { frozen: Promise<void>; thaw: () => void }
  close?(): Promise<void>
}

/** One payment, from the terms to what `parse` made of the credential. */
interface Case {
  challenge: Challenge
  request: JsonObject
  context: Context
  wallet: ClientMethod
  prepared: Prepared
  payload: JsonObject
  parsed: Parsed
}

const LIFETIME = 60

/**
 * Asks a payment rail for every law that the server relies on. `open` is called once.
 *
 * @see `OnceMethod` and `ClientMethod` in `@mppkit/core`
 */
export function testMethod(name: string, open: () => Promise<RailUnderTest>): void {
  describe(`method ${name}`, () => {
    let rail: RailUnderTest
    let terms: Terms
    beforeAll(async () => {
      rail = await open()
      terms = rail.terms ?? { amount: '1' }
    })
    afterAll(() => rail?.close?.())

    const quote = (asked: Terms): JsonObject => (rail.method as OnceMethod).quote(asked)

    async function begin(
      asked: Terms = terms,
      buyer?: ClientMethod,
    ): Promise<Omit<Case, 'prepared' | 'payload' | 'parsed'>> {
      const request = quote(asked)
      const issued = Math.floor(rail.now() / 1000)
      const challenge: Challenge = {
        id: encodeBase64url(crypto.getRandomValues(new Uint8Array(32))),
        realm: 'conformance.example',
        method: rail.method.name,
        intent: rail.method.intent,
        request: encodeBase64url(canonicalize(request)),
        expires: formatTime(issued + LIFETIME),
        opaque: encodeBase64url(canonicalize({ _n: crypto.randomUUID() })),
      }
      const context = contextFor(rail, challenge, request, issued)
      return { challenge, request, context, wallet: buyer ?? (await rail.wallet()) }
    }

    /** Signs, and pays where the buyer moves the money; `signed` is what the wallet is made to believe it pays. */
    async function prove(signed: JsonObject = {}, asked?: Terms, buyer?: ClientMethod): Promise<Case> {
      const begun = await begin(asked, buyer)
      const { challenge, wallet, context } = begun
      const request = { ...begun.request, ...signed }
      const shown = { ...challenge, request: encodeBase64url(canonicalize(request)) }
      const prepared = await wallet.prepare(shown, request, context)
      await wallet.send?.(prepared, context)
      const payload = wallet.payload(prepared)
      if (prepared.source !== undefined) context.source = prepared.source
      const parsed = await rail.method.parse(payload, challenge, begun.request)
      return { ...begun, prepared, payload, parsed }
    }

    const verify = ({ parsed, context }: Case): Promise<{ payer?: string }> =>
      rail.method.verify(parsed as never, context)

    /** As the server would: one note, kept. */
    async function settle(paid: Case, note = async (_text: string): Promise<void> => {}): Promise<Receipt> {
      return rail.method.settle(paid.parsed as never, { ...paid.context, note })
    }

    async function settleNoted(paid: Case): Promise<{ receipt: Receipt; note: string }> {
      let { note } = paid.parsed
      const receipt = await settle(paid, async (text) => void (note = text))
      if (note === undefined)
        throw new Error('neither parse nor settle gave a note: find has nothing to go by')
      return { receipt, note }
    }

    /** The difference that `work` makes to the recipient. */
    async function moved(work: () => Promise<unknown>): Promise<bigint> {
      const before = await rail.received()
      await work()
      return (await rail.received()) - before
    }

    const unitsOf = ({ request }: { request: JsonObject }): bigint => parseBaseUnits(request.amount) ?? -1n

    describe('quote', () => {
      verifies(
        ['CHG-006', 'CHG-009', 'CHG-010', 'CHG-011', 'CHG-012', 'CHG-016'],
        'asks in the shared fields',
        () => {
          const request = quote({ ...terms, description: 'd', externalId: 'order-1' })
          expect(parseBaseUnits(request.amount)).toBeGreaterThan(0n)
          expect(request.currency).toEqual(expect.stringMatching(/./))
          const known = ['amount', 'currency', 'recipient', 'description', 'externalId', 'methodDetails']
          expect(Object.keys(request).filter((member) => !known.includes(member))).toEqual([])
          expect(JSON.parse(canonicalize(request))).toEqual(request)
        },
      )

      verifies([], 'is pure: the same terms give the same request, and are left alone', () => {
        const asked = Object.freeze({ ...terms })
        expect(canonicalize(quote(asked))).toBe(canonicalize(quote(asked)))
        const { amount, ...constant } = quote(asked)
        expect(amount).toBeDefined()
        expect(quote({ ...asked, amount: null })).toEqual(constant)
      })

      verifies(['CHG-020'], 'never rounds: an amount finer than the base unit is a TypeError', () => {
        expect(() => quote({ ...terms, amount: `0.${'0'.repeat(40)}1` })).toThrow(TypeError)
        expect(() => quote({ ...terms, amount: '-1' })).toThrow(TypeError)
        expect(() => quote({ ...terms, amount: '1e3' })).toThrow(TypeError)
      })

      verifies(
        ['CORE-084', 'CORE-039', 'CORE-042'],
        'has a name and an intent that can go on the wire',
        () => {
          expect(rail.method.name).toMatch(/^[a-z]+$/)
          expect(rail.method.intent).toMatch(/^[a-z0-9-]+$/)
        },
      )
    })

    describe('parse', () => {
      verifies([], 'is pure, and gives one key for one proof in any spelling', async () => {
        const { payload, parsed, challenge, request } = await prove()
        const frozen = deepFreeze(structuredClone(payload))
        const again = await rail.method.parse(frozen, challenge, request)
        expect(again).toEqual(parsed)
        const turned = Object.fromEntries(Object.entries(payload).toReversed()) as JsonObject
        expect((await rail.method.parse(turned, challenge, request)).key).toBe(parsed.key)
        expect(parsed.key.length).toBeGreaterThan(0)
        expect(parsed.key.length).toBeLessThanOrEqual(200)
        const other = await prove()
        expect(other.parsed.key).not.toBe(parsed.key)
      })

      verifies(['CORE-002', 'CHG-021'], 'refuses garbage quickly, as the payer’s fault', async () => {
        const { payload, challenge, request } = await prove()
        for (const garbage of garbageFor(payload)) {
          const began = performance.now()
          await expect(async () => rail.method.parse(garbage, challenge, request)).rejects.toThrow(
            PaymentError,
          )
          expect(performance.now() - began).toBeLessThan(500)
        }
      })
    })

    describe('verify', () => {
      verifies(
        ['CHG-028'],
        'accepts a good proof, again and again, and moves and writes nothing',
        async () => {
          const paid = await prove()
          const store = spy(paid.context.store)
          paid.context.store = store
          const difference = await moved(async () => {
            const first = await verify(paid)
            expect(await verify(paid)).toEqual(first)
          })
          expect(difference).toBe(0n)
          expect(store.writes).toBe(0)
        },
      )

      verifies(['CHG-029', 'CORE-006'], 'refuses a proof over less', async () => {
        const { request } = await begin()
        await refuses(prove({ amount: `${unitsOf({ request }) - 1n}` }))
      })

      verifies(['CHG-030'], 'refuses a proof that pays someone else', async () => {
        await refuses(prove({ recipient: rail.otherRecipient }))
      })

      verifies(['CHG-028', 'CORE-082'], 'refuses a proof that was tampered with', async () => {
        const paid = await prove()
        // The name of a transfer, tampered with, is that of one that may still come.
        const expected = rail.method.moves === 'before' ? Error : PaymentError
        for (const payload of tampered(paid.payload)) {
          await expect(async () => {
            const parsed = await rail.method.parse(payload, paid.challenge, paid.request)
            await verify({ ...paid, parsed })
          }).rejects.toThrow(expected)
        }
      })

      async function refuses(proving: Promise<Case>): Promise<void> {
        const paid = await proving
        await expect(verify(paid)).rejects.toThrow(PaymentError)
      }
    })

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
          expect(receipt).toMatchObject({ status: 'success', method: rail.method.name })
          expect(receipt!.reference).toEqual(expect.stringMatching(/^.{1,200}$/))
          const age = rail.now() - parseTime(receipt!.timestamp)!
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
        const second = await begin(terms, paid.wallet)
        const difference = await moved(async () => {
          const parsed = await rail.method.parse(paid.payload, second.challenge, second.request)
          // Either it is refused, or the server knows it by its key.
          const verified = await rail.method.verify(parsed as never, second.context).then(
            () => true,
            (error: unknown) => error instanceof PaymentError && false,
          )
          expect(verified && parsed.key !== paid.parsed.key).toBe(false)
        })
        expect(difference).toBe(0n)
      })

      verifies([], 'moves nothing when its note cannot be written', async (test) => {
        const paid = await prove()
        if (paid.parsed.note !== undefined || rail.method.moves === 'before') return inapplicable(test)
        const difference = await moved(async () => {
          await expect(settle(paid, () => Promise.reject(new Error('the lease is lost')))).rejects.toThrow(
            Error,
          )
        })
        expect(difference).toBe(0n)
      })

      verifies(['CORE-108'], 'refuses, as the payer’s fault, when the account has nothing', async (test) => {
        const poor = await rail.poorWallet?.()
        if (!poor || rail.method.moves === 'before') return inapplicable(test)
        const difference = await moved(async () => {
          await expect(async () => {
            const paid = await prove({}, terms, poor)
            await verify(paid)
            await settle(paid)
          }).rejects.toThrow(PaymentError)
        })
        expect(difference).toBe(0n)
      })

      verifies([], 'takes a proof of identity for amount zero, and moves nothing', async (test) => {
        if (rail.method.moves === 'before') return inapplicable(test)
        const difference = await moved(async () => {
          const paid = await prove({}, { ...terms, amount: '0' })
          const { payer } = await verify(paid)
          expect(payer).toEqual(expect.stringMatching(/./))
          expect(await settle(paid)).toMatchObject({ status: 'success', method: rail.method.name })
        })
        expect(difference).toBe(0n)
      })
    })

    describe('find', () => {
      verifies([], 'gives the receipt of what was settled, without the buyer', async () => {
        const paid = await prove()
        const { receipt, note } = await settleNoted(paid)
        expect(note.length).toBeLessThanOrEqual(2000)
        const found = await rail.method.find(note, paid.context)
        expect(found).toMatchObject({
          status: 'success',
          method: rail.method.name,
          reference: receipt.reference,
        })
      })

      verifies(
        [],
        'says "unknown" while the money may still move, and knows it once it has',
        async (test) => {
          if (!rail.freeze) return inapplicable(test)
          const paid = await prove()
          const { frozen, thaw } = rail.freeze()
          const settling = settleNoted(paid)
          await frozen
          const { note } = paid.parsed
          if (note !== undefined) expect(await rail.method.find(note, paid.context)).toBe('unknown')
          thaw()
          const settled = await settling
          expect(await rail.method.find(settled.note, paid.context)).toMatchObject({
            reference: settled.receipt.reference,
          })
        },
      )

      verifies([], 'says "not-moved" only when it can never move, whoever wakes up later', async (test) => {
        const paid = await prove()
        if (!rail.freeze || paid.parsed.until === undefined) return inapplicable(test)
        let { note } = paid.parsed
        const difference = await moved(async () => {
          const { frozen, thaw } = rail.freeze!()
          const settling = settle(paid, async (text) => void (note = text))
          settling.catch(() => {})
          await frozen
          await rail.advance(LIFETIME + 5)
          expect(await rail.method.find(note!, paid.context)).toBe('not-moved')
          thaw()
          await expect(settling).rejects.toThrow(PaymentError)
        })
        expect(difference).toBe(0n)
      })
    })

    describe('refund', () => {
      verifies([], 'gives the money back once, whatever happens twice', async (test) => {
        const { method } = rail
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
          expect(await rail.method.find(notes[0]!, paid.context)).toMatchObject({
            reference: first.reference,
          })
        })
        expect(difference).toBe(0n)
      })
    })

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
  })
}

function contextFor(rail: RailUnderTest, challenge: Challenge, request: JsonObject, issued: number): Context {
  const { signal } = new AbortController()
  return {
    challenge,
    request,
    issued,
    now: () => rail.now(),
    signal,
    store: memoryStore(),
    onError: () => {},
  }
}

function inapplicable(test: TestContext): void {
  test.skip('this rail has no such thing')
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
