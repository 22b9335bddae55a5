import { networkInterfaces } from 'node:os'
import { parseTime } from '@mppkit/core'
import {
  brief,
  bytesOf,
  check,
  exchange,
  isLoopback,
  isServed,
  NoAnswer,
  questions,
  servedYet,
  skip,
  withField,
  type Place,
  type Question,
  type Subject,
} from '@mppkit/testing/conform'
import { modeOf } from '../payer.ts'
import { publicAccountsIn } from './public-keys.ts'

/** Questions of the conformance suite that are attacks. */
const ASKED = [
  'asks-for-money',
  'not-cached',
  'ids-differ',
  'malformed-refused',
  'payment-served',
  'receipt-private',
  'content-withheld',
  'scheme-whole',
  'failure-no-receipt',
  'tampered-id',
  'tampered-realm',
  'tampered-method',
  'tampered-intent',
  'tampered-amount',
  'tampered-recipient',
  'tampered-expires',
  'tampered-opaque',
  'tampered-digest',
  'digest-checked',
  'bad-proof',
  'underpaid',
  'misdirected',
  'replay',
  'replay-reordered',
  'challenge-once',
  'proof-once',
  'query-bound',
  'method-bound',
  'options-free',
  'targets-guarded',
  'methods-guarded',
  'override-headers',
  'huge-credential',
  'huge-body',
  'unread-body',
  'connection-shared',
  'credentials-kept-quiet',
]

const group = 'mppkit'
const level = 'error'
const MINUTE = 60_000

const own: readonly Question[] = [
  {
    id: 'race-of-fifty',
    group,
    level,
    pays: true,
    requirements: ['CORE-143', 'CHG-024'],
    title: '50 requests at once with one credential: one is served',
    remedy: 'Use a store whose claim is atomic, and one that all instances share.',
    async ask(subject) {
      const signed = await subject.credential()
      const raw = withField(subject.raw, signed.header, signed.authorization)
      const all = await Promise.all(Array.from({ length: 50 }, () => subject.send(raw)))
      const served = all.filter(isServed).length
      check(served <= 1, `${served} of 50 were served`)
      if (served === 0) await servedYet(subject, signed)
      return `${served} served`
    },
  },
  {
    id: 'head-guarded',
    group,
    level,
    requirements: ['CORE-001', 'CORE-139'],
    title: 'HEAD does not run the priced handler for nothing',
    remedy: 'Let HEAD pass the same gate as GET: most routers send it to the handler of GET.',
    async ask(subject) {
      const got = await subject.send({ target: subject.raw.target, method: 'HEAD' })
      check(!isServed(got), `it was answered ${got.status}`)
    },
  },
  {
    id: 'plain-http',
    group,
    level,
    requirements: ['CORE-126', 'CORE-127', 'CORE-129'],
    title: 'Beyond the loopback nobody is asked for money over plain http',
    remedy:
      'Give createMpp the public `origin` (https), listen on the loopback behind your proxy, and redirect http to https.',
    async ask(subject) {
      const places = plainPlaces(subject.place)
      if (places.length === 0) skip('this machine has no address but the loopback')
      for (const place of places) {
        const got = await unpaidAt(place, subject)
        if (got === undefined) continue
        check(got.status !== 402 && !isServed(got), `http://${place.authority} answered ${brief(got)}`)
      }
    },
  },
  {
    id: 'clock',
    group,
    level,
    requirements: ['CORE-004', 'CORE-049'],
    title: 'The clocks of the server and of this machine agree to five minutes',
    remedy: 'Set the clock by NTP: expiry, receipts and recovery are judged by it.',
    async ask(subject) {
      const began = Date.now()
      const date = Date.parse((await subject.send(subject.raw)).get('date') ?? '')
      if (Number.isNaN(date)) skip('the server sends no Date')
      const off = Math.round((date - (began + Date.now()) / 2) / 1000)
      check(
        Math.abs(off) <= 300,
        `the server is ${Math.abs(off)} s ${off < 0 ? 'behind' : 'ahead'} (or this machine is not)`,
      )
      return `${off} s apart`
    },
  },
  {
    id: 'lifetime',
    group,
    level,
    requirements: ['CORE-050', 'CHG-027'],
    title: 'A challenge lives at least ten seconds, and no longer than a day',
    remedy:
      'Give prices a `lifetime` of some minutes: long enough to pay, short enough for the price to hold.',
    async ask(subject) {
      const got = await subject.send(subject.raw)
      const now = Date.parse(got.get('date') ?? '') || Date.now()
      const { expires } = await subject.quote()
      const left = (parseTime(expires ?? '') ?? skip('there is no expires')) - now
      check(left >= 9000, `it has ${Math.round(left / 1000)} s left when it comes`)
      check(left <= 24 * 60 * MINUTE + MINUTE, `it lives for ${Math.round(left / MINUTE)} minutes`)
    },
  },
  {
    id: 'one-kind-of-money',
    group,
    level,
    requirements: ['CORE-161'],
    title: 'Test money and real money are not offered side by side',
    remedy: 'Make two servers, or one configuration per environment: a buyer would pay with play money.',
    async ask(subject) {
      const modes = await modesOf(subject)
      check(!(modes.includes('test') && modes.includes('live')), 'one answer offers both')
      return modes.join(', ')
    },
  },
  {
    id: 'real-money-in-public',
    group,
    level: 'warning',
    requirements: ['CORE-161'],
    title: 'A public address sells for real money',
    remedy: 'Take the live network (or key) before you go public; keep test rails on the loopback.',
    async ask(subject) {
      if (isLoopback(subject.place)) skip('the address is the loopback')
      const modes = await modesOf(subject)
      check(!modes.includes('test'), 'it takes test money')
    },
  },
  {
    id: 'recipient-own',
    group,
    level,
    requirements: ['CHG-030'],
    title: 'Real money goes to nobody whose key is public',
    remedy: 'Give `recipient` an address of your own: whatever this one gets, anybody can take.',
    async ask(subject) {
      const live = (await termsOf(subject)).filter((terms) => modeOf(...terms) === 'live')
      if (live.length === 0) skip('no offer is known to take real money')
      for (const [{ method }, request] of live) {
        const [account] = publicAccountsIn(request)
        check(account === undefined, `${method} pays ${account}, a development account of every local chain`)
      }
    },
  },
]

/** Everything that the doctor tries on a running server, in order. */
export const attacks: readonly Question[] = [
  ...ASKED.filter((id) => id !== 'credentials-kept-quiet').map(questionOf),
  ...own,
  questionOf('credentials-kept-quiet'),
]

function questionOf(id: string): Question {
  const found = questions.find((question) => question.id === id)
  if (!found) throw new Error(`there is no question ${id}`)
  return found
}

/** Where the same server might be reached without TLS. */
function plainPlaces(place: Place): Place[] {
  if (!isLoopback(place)) {
    const { host } = place
    return [place.tls ? { host, port: 80, tls: false, authority: host } : place]
  }
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ internal, family }) => !internal && family === 'IPv4')
    .map(({ address }) => ({
      host: address,
      port: place.port,
      tls: false,
      authority: `${address}:${place.port}`,
    }))
}

async function unpaidAt(
  place: Place,
  { raw }: Subject,
): Promise<Awaited<ReturnType<typeof exchange>>[number] | undefined> {
  try {
    const [got] = await exchange(place, bytesOf(raw, place.authority), {
      methods: [raw.method ?? 'GET'],
      timeout: 3000,
    })
    return got
  } catch (error) {
    if (error instanceof NoAnswer) return undefined
    throw error
  }
}

async function modesOf(subject: Subject): Promise<('test' | 'live')[]> {
  const modes = (await termsOf(subject)).flatMap((terms) => modeOf(...terms) ?? [])
  return modes.length > 0 ? [...new Set(modes)] : skip('nothing tells whether the money is real')
}

/** What is offered, as far as it can be read. */
async function termsOf(subject: Subject): Promise<Parameters<typeof modeOf>[]> {
  return (await subject.offered()).flatMap((offer): Parameters<typeof modeOf>[] => {
    try {
      const request = JSON.parse(Buffer.from(offer.get('request') ?? '', 'base64url').toString()) as Record<
        string,
        unknown
      >
      return [[{ method: offer.get('method') ?? '' }, request]]
    } catch {
      return []
    }
  })
}
