import { readFileSync } from 'node:fs'
import { createBinding, parseReceipt } from '@mppkit/core'
import { createFloor, FIXED, PROBLEM } from './floor.ts'
import {
  answer,
  check,
  cpuTime,
  inTurn,
  isChild,
  quotient,
  Samples,
  start,
  type Spread,
} from './lib/measure.ts'
import {
  challengeIn,
  CONTENT,
  ourFloor,
  ourToy,
  payFloor,
  payOurs,
  payTheirs,
  PRICE,
  REALM,
  SECRET,
  theirToy,
} from './lib/peers.ts'
import type { Row } from './lib/table.ts'

type Peer = 'bare' | 'floor' | 'ours' | 'mppx' | 'mppx once'
type Kind = '402' | 'paid'

interface Job {
  peer: Peer
  kind: Kind
  /** Requests before the clock starts; the optimiser goes on for thousands. */
  warm: number
  count: number
}

/** A fetch handler behind a gate, and what it takes for payment. */
interface Subject {
  handle(request: Request): Promise<Response>
  credentials(count: number): Promise<string[]>
  /** Whether the payment of this credential is over and done with. */
  isDone?(credential: string): Promise<boolean>
}

const TARGET = '/photos?x=1'
const URL_ = `https://${REALM}${TARGET}`

/** Microseconds of CPU per request, from a web `Request` that is there to a `Response` that nobody has read yet. */
export async function inProcess({ quick }: { quick: boolean }): Promise<Row[]> {
  await checkFloor()
  const rounds = quick ? 1 : 5
  const peers: Peer[] = ['bare', 'floor', 'ours', 'mppx', 'mppx once']
  const samples = new Samples()
  for (let round = 0; round < rounds; round++) {
    for (const kind of ['402', 'paid'] as const) {
      for (const peer of inTurn(peers, round)) {
        const child = start(import.meta.filename, { core: 0 })
        try {
          const job: Job = { peer, kind, warm: quick ? 3000 : 10_000, count: quick ? 2000 : 8_000 }
          samples.add(`${peer} ${kind}`, await child.ask<number>(job))
        } finally {
          await child.end()
        }
      }
    }
  }
  return (['402', 'paid'] as const).flatMap((kind): Row[] => {
    const read = (peer: Peer): Spread => samples.spread(`${peer} ${kind}`)
    const [bare, floor, ours] = [read('bare'), read('floor'), read('ours')]
    const [mppx, once] = [read('mppx'), read('mppx once')]
    const wanted = kind === '402' ? 5 : 8
    return [
      {
        bench: 'in-process',
        what: `${kind}, mppx used as documented (configured per request)`,
        unit: 'µs',
        cells: { ours, mppx, floor, bare },
        verdicts: [
          { of: 'mppx / ours', ratio: quotient(mppx, ours), target: { least: wanted } },
          { of: 'mppx / floor', ratio: quotient(mppx, floor) },
          {
            of: 'ours / floor',
            ratio: quotient(ours, floor),
            ...(kind === '402' && { target: { most: 1.5 } }),
          },
        ],
      },
      {
        bench: 'in-process',
        what: `${kind}, mppx configured once`,
        unit: 'µs',
        cells: { ours, mppx: once },
        verdicts: [
          { of: 'mppx / ours', ratio: quotient(once, ours), target: { least: wanted } },
          { of: 'mppx / floor', ratio: quotient(once, floor) },
        ],
      },
    ]
  })
}

/** The floor is a floor of this protocol only if its challenges and ids are those of the vectors. */
async function checkFloor(): Promise<void> {
  const file = new URL('../packages/testing/vectors/core.json', import.meta.url)
  const vectors = JSON.parse(readFileSync(file, 'utf8')) as {
    kind: string
    id: string
    input: { secretUtf8: string; params: Record<string, string> }
    expected: { id: string }
  }[]
  const bindings = vectors.filter(({ kind }) => kind === 'hmac-binding')
  check(bindings.length > 0, 'there are no vectors for the binding')
  for (const { id, input, expected } of bindings) {
    const {
      realm = '',
      method = '',
      intent = '',
      request = '',
      expires = '',
      digest = '',
      opaque = '',
    } = input.params
    const floor = createFloor({ secret: input.secretUtf8, realm, method, intent, request })
    check(floor.idOf(expires, digest, opaque) === expected.id, `the floor fails ${id}`)
  }
  const challenge = challengeIn(ourFloor().challenge('GET /'))
  check(await createBinding([SECRET]).verify(challenge), "core does not accept the floor's challenge")
}

async function subjectOf(peer: Peer): Promise<Subject> {
  const content = async (): Promise<Response> => Response.json(CONTENT)
  if (peer === 'bare') return { handle: content, credentials: async (count) => payFloor(TARGET, count) }
  if (peer === 'floor')
    return { handle: floorHandler(), credentials: async (count) => payFloor(TARGET, count) }
  if (peer === 'ours') {
    const { createMpp, memoryStore } = await import('@mppkit/server')
    const store = memoryStore({ max: 1_000_000 })
    const mpp = createMpp({
      realm: REALM,
      secret: SECRET,
      methods: [ourToy()],
      store,
      origin: 'http://localhost',
    })
    return {
      handle: mpp.charge(PRICE)(content),
      credentials: (count) => payOurs(TARGET, count),
      async isDone(credential) {
        const { challenge } = JSON.parse(Buffer.from(credential.slice(8), 'base64url').toString())
        const { _n: quote } = JSON.parse(Buffer.from(challenge.opaque, 'base64url').toString())
        const entry = await store.get(`pay:${REALM}:${quote}`)
        return entry !== undefined && JSON.parse(entry.value).state === 'delivered'
      },
    }
  }
  const { Mppx } = await import('mppx/server/core')
  const mppx = Mppx.create({ methods: [await theirToy()], secretKey: SECRET, realm: REALM })
  const configured = mppx.charge(PRICE)
  const handle = async (request: Request): Promise<Response> => {
    const result = await (peer === 'mppx' ? mppx.charge(PRICE) : configured)(request)
    return result.status === 402 ? result.challenge : result.withReceipt(await content())
  }
  return {
    handle,
    async credentials(count) {
      const response = await handle(new Request(URL_))
      return payTheirs(response.headers.get('www-authenticate') ?? '', count)
    },
  }
}

function floorHandler(): Subject['handle'] {
  const floor = ourFloor()
  return async ({ method, url, headers }) => {
    const scope = `${method} ${url.slice(url.indexOf('/', 8))}`
    const field = headers.get('authorization')
    const receipt = field === null ? undefined : await floor.verify(field, scope)
    if (receipt === undefined)
      return new Response(PROBLEM, {
        status: 402,
        headers: { 'www-authenticate': floor.challenge(scope), ...FIXED },
      })
    const response = Response.json(CONTENT)
    response.headers.set('payment-receipt', receipt)
    response.headers.set('cache-control', 'private')
    return response
  }
}

/** Requests are made shortly before they are handled: a heap full of them would make every collection dearer. */
const BATCH = 100

async function measure({ peer, kind, warm, count }: Job): Promise<number> {
  const subject = await subjectOf(peer)
  await checkSubject(peer, subject)
  const credentials = kind === 'paid' ? await subject.credentials(warm + count) : []
  const expected = kind === '402' && peer !== 'bare' ? 402 : 200
  let next = 0
  const run = async (): Promise<number> => {
    const requests = Array.from({ length: BATCH }, () => requestWith(credentials[next++]))
    const before = cpuTime()
    for (const request of requests) {
      const { status } = await subject.handle(request)
      if (status !== expected) check(false, `${peer} answered ${status} in place of ${expected}`)
    }
    // What a request leaves behind (its last write) is part of its cost.
    await new Promise((resolve) => setImmediate(resolve))
    return cpuTime() - before
  }
  while (next < warm) await run()
  let time = 0
  while (next < warm + count) time += await run()
  if (subject.isDone)
    for (const credential of credentials)
      check(await subject.isDone(credential), `${peer} left a payment unfinished`)
  return time / count
}

function requestWith(credential: string | undefined): Request {
  return new Request(URL_, credential === undefined ? {} : { headers: { authorization: credential } })
}

async function checkSubject(peer: Peer, { handle, credentials }: Subject): Promise<void> {
  if (peer === 'bare')
    return check((await handle(new Request(URL_))).status === 200, 'the bare handler does not answer')
  const ids = new Set<string>()
  for (let i = 0; i < 5; i++) {
    const unpaid = await handle(new Request(URL_))
    check(unpaid.status === 402, `${peer} answers ${unpaid.status} to a request without a credential`)
    const challenge = challengeIn(unpaid.headers.get('www-authenticate'))
    check(await createBinding([SECRET]).verify(challenge), `${peer} does not bind its challenge`)
    check((await unpaid.json()).type.endsWith('/payment-required'), `${peer} does not say what is wrong`)
    ids.add(challenge.id)
    // mppx's challenges of one millisecond are the same.
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  check(ids.size === 5, `${peer} repeats its challenges`)
  const [credential = ''] = await credentials(1)
  const pay = (): Promise<Response> => handle(new Request(URL_, { headers: { authorization: credential } }))
  const paid = await pay()
  check(
    paid.status === 200,
    `${peer} answers ${paid.status} to a good credential: ${await paid.clone().text()}`,
  )
  check(JSON.stringify(await paid.json()) === JSON.stringify(CONTENT), `${peer} does not deliver`)
  check(parseReceipt(paid.headers.get('payment-receipt') ?? '').method === 'toy', `${peer} gives no receipt`)
  check((await pay()).status === 402, `${peer} takes a credential twice`)
}

if (isChild) answer(measure)
