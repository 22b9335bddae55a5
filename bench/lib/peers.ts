import { createHash } from 'node:crypto'
import {
  canonicalize,
  encodeBase64url,
  formatCredential,
  parseChallenges,
  PaymentError,
  type Challenge,
  type OnceMethod,
} from '@mppkit/core'
import { createFloor, type Floor } from '../floor.ts'

/** Long enough for every peer. */
export const SECRET = createHash('sha256').update('bench').digest('base64')
export const REALM = 'api.example.com'
export const PRICE = { amount: '10000', currency: 'usd', recipient: 'shop' } as const
/** A charge on Tempo, in whole units of pathUSD. */
export const AMOUNT = '0.01'
export const PATH_USD = '0x20c0000000000000000000000000000000000000'
/** What every handler answers once it is paid. */
export const CONTENT = { ok: true } as const

/** Proofs are "ok:" and something unique: the rail itself shall cost nothing. */
export function isGood(proof: unknown): proof is string {
  return typeof proof === 'string' && proof.startsWith('ok:')
}

let proofs = 0

/** A payload that the toy rail takes, each another. */
export function newPayload(): { proof: string } {
  return { proof: `ok:${process.pid}.${(proofs++).toString(36)}` }
}

/** The toy rail for mppkit. */
export function ourToy(): OnceMethod<object, string> {
  return {
    name: 'toy',
    intent: 'charge',
    moves: 'settle',
    takes: () => true,
    quote: ({ amount, currency, recipient }) => ({
      ...(amount !== null && { amount }),
      ...(currency !== undefined && { currency }),
      ...(recipient !== undefined && { recipient }),
    }),
    parse({ proof }) {
      if (!isGood(proof)) throw new PaymentError('verification-failed', 'The proof is not good.')
      return { proof, key: proof }
    },
    verify: async () => ({}),
    settle: async ({ proof }) => ({
      status: 'success',
      method: 'toy',
      timestamp: new Date().toISOString(),
      reference: proof,
    }),
    find: async () => 'unknown',
  }
}

/** The same toy rail for mppx. It claims each challenge in mppx's memory store, as mppx's own rails do. */
export async function theirToy() {
  const { Errors, Method, Store, z } = await import('mppx')
  const store = Store.memory()
  const method = Method.from({
    name: 'toy',
    intent: 'charge',
    schema: {
      credential: { payload: z.object({ proof: z.string() }) },
      request: z.object({ amount: z.string(), currency: z.string(), recipient: z.string() }),
    },
  })
  return Method.toServer(method, {
    async verify({ credential: { challenge, payload } }) {
      const { proof } = payload as { proof: string }
      if (!isGood(proof)) throw new Errors.VerificationFailedError({ reason: 'The proof is not good.' })
      if (!(await Store.tryClaim(store, `toy:${challenge.id}`, Date.parse(challenge.expires ?? ''))))
        throw new Errors.VerificationFailedError({ reason: 'The challenge has been used.' })
      return { method: 'toy', status: 'success', timestamp: new Date().toISOString(), reference: proof }
    },
  })
}

/** The floor, asking what the others ask. */
export function ourFloor(): Floor {
  return floorFor(300)
}

function floorFor(lifetime: number): Floor {
  return createFloor({
    secret: SECRET,
    realm: REALM,
    method: 'toy',
    intent: 'charge',
    request: encodeBase64url(canonicalize(PRICE)),
    lifetime,
  })
}

/** Seconds: credentials made at the start of a run are good until its end. */
const LIFETIME = 3600

/** The single challenge of a `WWW-Authenticate` field. */
export function challengeIn(field: string | null): Challenge {
  const { challenges, rejected } = parseChallenges(field ?? '')
  const [challenge] = challenges
  if (challenges.length !== 1 || rejected.length > 0 || !challenge)
    throw new Error(`not one challenge: ${field}`)
  return challenge
}

/** Pays a challenge with the toy rail. */
export function pay(challenge: Challenge): string {
  return formatCredential({ challenge, payload: newPayload() })
}

/** As many distinct credentials for `GET target` as mppkit under this secret would take. */
export async function payOurs(target: string, count: number): Promise<string[]> {
  const { createGates } = await import('@mppkit/server')
  const gate = createGates({ realm: REALM, secret: SECRET, methods: [ourToy()] }).charge({
    ...PRICE,
    lifetime: LIFETIME,
  })
  const credentials: string[] = []
  while (credentials.length < count) {
    const opening = await gate({ method: 'GET', target, headers: { get: () => null }, transport: 'loopback' })
    if (opening.kind !== 'respond') throw new Error('the gate does not ask for money')
    const field = opening.answer.headers.find(([name]) => name === 'www-authenticate')?.[1]
    credentials.push(pay(challengeIn(field ?? null)))
  }
  return credentials
}

/** As many distinct credentials as the floor would take. */
export function payFloor(target: string, count: number): string[] {
  const floor = floorFor(LIFETIME)
  return Array.from({ length: count }, () => pay(challengeIn(floor.challenge(`GET ${target}`))))
}

/**
 * As many distinct credentials as mppx would take, made from one of its challenges. mppx has no nonce, only an expiry in
 * milliseconds: each of these expires one later than the one before.
 */
export async function payTheirs(field: string, count: number): Promise<string[]> {
  const { Challenge, Credential } = await import('mppx')
  const template = Challenge.deserialize(field)
  const expires = Date.now() + LIFETIME * 1000
  return Array.from({ length: count }, (_, index) => {
    const challenge = Challenge.from({
      ...template,
      expires: new Date(expires + index).toISOString(),
      secretKey: SECRET,
    } as unknown as Parameters<typeof Challenge.from>[0])
    return Credential.serialize(Credential.from({ challenge, payload: newPayload() }))
  })
}
