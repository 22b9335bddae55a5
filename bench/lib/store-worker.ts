import { setTimeout as sleep } from 'node:timers/promises'
import type { Store } from '@mppkit/core'
import { createGates, memoryStore, type Gate, type Incoming } from '@mppkit/server'
import { answer, check } from './measure.ts'
import { ourToy, pay, challengeIn, PRICE, REALM, SECRET } from './peers.ts'
import { openStore, type Place } from './stores.ts'

/** `open` first. The others resolve with how many there were in that time, or, for `memory`, with bytes. */
export type Question =
  | { open: Place }
  | { swaps: { lanes: number; ms: number } }
  | { payments: { lanes: number; ms: number } }
  | { unpaid: { ms: number } }
  | { memory: { payments: number } }

let store: Store
let gate: Gate
let keys = 0

answer(async (question: Question) => {
  if ('open' in question) {
    store = await openStore(question.open)
    gate = gateOn(store)
    return 0
  }
  if ('swaps' in question) return swaps(question.swaps)
  if ('payments' in question) return payments(question.payments)
  if ('unpaid' in question) return unpaid(question.unpaid)
  return memory(question.memory)
})

function gateOn(on: Store, now: () => number = Date.now): Gate {
  return createGates({ realm: REALM, secret: SECRET, methods: [ourToy()], store: on, now }).charge(PRICE)
}

function swaps({ lanes, ms }: { lanes: number; ms: number }): Promise<number> {
  // As long as a payment's record.
  const value = 'x'.repeat(900)
  return during(lanes, ms, async () => {
    const key = `bench:${process.pid}:${keys++}`
    const claimed = await store.swap(key, 'absent', { value, ttl: 60, lease: 30_000 })
    check(claimed.ok, 'a fresh key was refused')
    const written = await store.swap(key, claimed.version, { value, ttl: 60 })
    check(written.ok, 'an own version was refused')
    return 2
  })
}

function payments({ lanes, ms }: { lanes: number; ms: number }): Promise<number> {
  return during(lanes, ms, () => payment(gate))
}

async function payment(at: Gate): Promise<number> {
  const asked = await at(incoming())
  check(asked.kind === 'respond', 'the gate does not ask for money')
  const field = asked.answer.headers.find(([name]) => name === 'www-authenticate')?.[1] ?? null
  const opening = await at(incoming(pay(challengeIn(field))))
  check(opening.kind === 'admit', 'a good credential is not admitted')
  const decision = await opening.admit()
  check(decision.kind === 'proceed', `a good credential is refused: ${JSON.stringify(decision)}`)
  await decision.grant.finish({ status: 200, reached: 'all' })
  return 1
}

function unpaid({ ms }: { ms: number }): Promise<number> {
  return during(1, ms, async () => {
    for (let each = 0; each < 50; each++) await gate(incoming())
    return 50
  })
}

/** Heap that is left of so many payments once their challenges are long over, compared with the start. */
async function memory({ payments: count }: { payments: number }): Promise<number> {
  let clock = Date.now()
  const now = (): number => clock
  const forgetful = memoryStore({ now })
  const at = gateOn(forgetful, now)
  const round = async (size: number): Promise<void> => {
    for (let each = 0; each < size; each++) await payment(at)
    // Past the expiry, and the quarter of an hour for which spent challenges are remembered.
    clock += 30 * 60_000
  }
  await round(10_000)
  const before = await heap()
  for (let done = 0; done < count; done += 20_000) await round(20_000)
  // As before the first measurement: what came last is still there.
  await round(10_000)
  return (await heap()) - before
}

async function heap(): Promise<number> {
  for (let each = 0; each < 4; each++) {
    ;(globalThis as { gc?: () => void }).gc?.()
    await sleep(50)
  }
  return process.memoryUsage().heapUsed
}

async function during(lanes: number, ms: number, work: () => Promise<number>): Promise<number> {
  const end = performance.now() + ms
  let done = 0
  const lane = async (): Promise<void> => {
    while (performance.now() < end) {
      const more = await work()
      done += more
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return done
}

function incoming(credential: string | null = null): Incoming {
  const get = (name: string): string | null => (name === 'authorization' ? credential : null)
  return { method: 'GET', target: '/photos?x=1', headers: { get }, transport: 'loopback' }
}
