import { createHash } from 'node:crypto'
import { encodeBase64url, parseTime } from '@mppkit/core'
import type { Raw } from '../buyer.ts'
import { readLoosely, type LooseChallenge } from './loose.ts'
import { check, skip, type Question } from './question.ts'
import type { Subject } from './subject.ts'
import { brief, codeOf, hasDirective } from './tell.ts'
import { isLoopback } from './wire.ts'

const group = 'spec'
const PROBLEMS = [
  'payment-required',
  'payment-insufficient',
  'payment-expired',
  'verification-failed',
  'method-unsupported',
  'malformed-credential',
  'invalid-challenge',
]

/** What else an unpaid answer holds, and what it depends on. */
export const answerQuestions: readonly Question[] = [
  {
    id: 'not-cached',
    group,
    requirements: ['CORE-155', 'CORE-154'],
    title: 'A 402 is marked Cache-Control: no-store',
    remedy:
      'Send `Cache-Control: no-store` with every 402: a cached challenge would be shown to another buyer.',
    async ask(subject) {
      const got = await firstRefusal(subject)
      check(hasDirective(got, 'no-store'), `Cache-Control is ${got.get('cache-control') ?? 'missing'}`)
    },
  },
  {
    id: 'problem-body',
    group,
    requirements: ['CORE-010', 'CORE-105', 'CORE-106'],
    title: 'The body of a 402 is application/problem+json with type, title, status and detail',
    remedy: 'Send an RFC 9457 body whose `status` is 402.',
    async ask(subject) {
      const got = await firstRefusal(subject)
      const type = got.get('content-type')
      check(/^application\/problem\+json\b/i.test(type ?? ''), `Content-Type is ${type ?? 'missing'}`)
      const problem = (() => {
        try {
          return got.json() as Record<string, unknown>
        } catch {
          return undefined
        }
      })()
      for (const name of ['type', 'title', 'detail'])
        check(typeof problem?.[name] === 'string', `${name} is ${JSON.stringify(problem?.[name])}`)
      check(problem?.status === 402, `status is ${JSON.stringify(problem?.status)}`)
    },
  },
  {
    id: 'problem-type',
    group,
    requirements: ['CORE-107'],
    title: 'The type of the problem is one of https://paymentauth.org/problems/',
    remedy: 'Use https://paymentauth.org/problems/payment-required where nothing was paid yet.',
    async ask(subject) {
      const got = await firstRefusal(subject)
      const code = codeOf(got) ?? skip('the body is no problem')
      const { type } = got.json() as { type: string }
      check(type === `https://paymentauth.org/problems/${code}` && PROBLEMS.includes(code), `type is ${type}`)
    },
  },
  {
    id: 'ids-differ',
    group,
    requirements: ['CORE-037', 'CORE-154'],
    title: 'Each challenge has its own id: 60 answers, 60 ids',
    remedy: 'Put a fresh random number (or a stored, unique id) into each challenge.',
    async ask(subject) {
      const ids: string[] = []
      // Several rounds: an id made of the clock repeats only when two requests come at the same moment.
      while (ids.length < 60) {
        const { id } = await subject.quote()
        const more = await Promise.all(Array.from({ length: 19 }, () => subject.quote()))
        ids.push(id, ...more.map((one) => one.id))
        check(
          new Set(ids).size === ids.length,
          `${ids.length} answers had ${new Set(ids).size} different ids`,
        )
      }
    },
  },
  {
    id: 'digest-format',
    group,
    requirements: ['CORE-046'],
    title: 'digest is the RFC 9530 digest of the body that was sent',
    remedy: 'Send digest="sha-256=:<base64 of the SHA-256 of the body>:".',
    async ask(subject) {
      const digest = (await subject.offered())[0]!.get('digest') ?? skip('no digest was sent')
      const body = subject.raw.body ?? ''
      const own = ['sha256', 'sha512'].map(
        (name) => `${name.replace('sha', 'sha-')}=:${createHash(name).update(body).digest('base64')}:`,
      )
      check(
        digest.split(/, */).every((one) => own.includes(one)),
        `it reads ${digest}, and the body has ${own[0]}`,
      )
    },
  },
  {
    id: 'digest-present',
    group,
    requirements: ['CORE-047'],
    title: 'A challenge for a request with a body carries its digest',
    remedy:
      'Send `digest`, and compare it with the body of the paid request: else one body is priced and another one served.',
    async ask(subject) {
      if (subject.raw.body === undefined) skip('the request has no body; ask with one')
      for (const offer of await subject.offered())
        check(offer.get('digest') !== undefined, 'digest is missing')
    },
  },
  {
    id: 'accept-payment-useless',
    group,
    requirements: ['CORE-019', 'CORE-098', 'CORE-099'],
    title: 'An Accept-Payment that fits nothing, or is malformed, still gets a challenge',
    remedy: 'Ignore the header where no offer is left: a 402 without a challenge is forbidden.',
    async ask(subject) {
      await subject.offered()
      for (const value of ['nosuchmethod/charge', '*/*;q=0', ';;;', '"x"', '=', 'a/b;q=9'])
        check((await accepting(subject, value)).length > 0, `with \`${value}\` there was no challenge`)
    },
  },
  {
    id: 'accept-payment-excludes',
    group,
    requirements: ['CORE-092', 'CORE-093', 'CORE-104'],
    title: 'Accept-Payment leaves out what has q=0',
    remedy: 'Drop the offers whose most specific range has q=0, as long as another one is left.',
    async ask(subject) {
      const [first] = await several(subject)
      const left = await accepting(subject, `*/*, ${first};q=0`)
      check(!left.includes(first!), `${first};q=0 was offered all the same`)
    },
  },
  {
    id: 'accept-payment-order',
    group,
    requirements: ['CORE-094', 'CORE-101'],
    title: 'Accept-Payment decides the order of the offers',
    remedy: 'Sort the offers by falling q.',
    async ask(subject) {
      const usual = await several(subject)
      const wish = usual.toReversed().map((one, at) => `${one};q=0.${9 - Math.min(at, 8)}`)
      const offers = await accepting(subject, wish.join(', '))
      check(offers[0] === usual.at(-1), `with ${wish.join(', ')} the first one was ${offers[0]}`)
    },
  },
  {
    id: 'unknown-not-priced',
    group,
    requirements: ['CORE-017'],
    title: 'What does not exist is not priced',
    remedy: 'Answer 404 for what does not exist, before the price.',
    async ask(subject) {
      const { target } = subject.raw
      const [path = '/'] = target.split('?')
      const got = await subject.send({
        target: `${path.slice(0, path.lastIndexOf('/') + 1)}no-such-thing-${Date.now()}`,
      })
      check(got.status !== 402, `a made-up path was answered ${brief(got)}`)
    },
  },
  {
    id: 'over-tls',
    group,
    requirements: ['CORE-126', 'CORE-127'],
    title: 'Challenges are sent over TLS only (plain http is for the loopback)',
    remedy: 'Serve it over https, and refuse payments on plain http.',
    async ask(subject) {
      const { place } = subject
      if (place.tls || isLoopback(place)) return place.tls ? 'https' : 'the loopback'
      await subject.offered()
      check(false, `it was sent over plain http from ${place.host}`)
    },
  },
  {
    id: 'expires-ahead',
    group,
    requirements: ['CORE-165', 'CORE-049'],
    title: 'A fresh challenge has not expired already, by the server’s own clock',
    remedy: 'Make expires of the present time; a challenge needs some minutes.',
    async ask(subject) {
      const got = await firstRefusal(subject)
      const times = (await subject.offered()).map((offer) => parseTime(offer.get('expires') ?? ''))
      const now = Date.parse(got.get('date') ?? '') || Date.now()
      for (const time of times) {
        if (time === undefined) skip('there is no expires to read')
        check(time > now, `it expired ${Math.round((now - time) / 1000)} s ago`)
      }
    },
  },
]

/** The 402 to the plain request. */
async function firstRefusal(subject: Subject): ReturnType<Subject['unpaid']> {
  const got = await subject.unpaid()
  return got.status === 402 ? got : skip('there was no 402')
}

/** The method/intent pairs that are offered, in order. */
async function accepting(subject: Subject, value: string): Promise<string[]> {
  const raw: Raw = { ...subject.raw, headers: [['Accept-Payment', value]] }
  return readLoosely((await subject.send(raw)).all('www-authenticate')).map(pairOf)
}

async function several(subject: Subject): Promise<string[]> {
  const offers = (await subject.offered()).map(pairOf)
  if (!offers.every((one) => /^[a-z]+\/[A-Za-z0-9-]+$/.test(one)))
    skip('the offers have names that cannot be asked for')
  return new Set(offers).size > 1 ? [...new Set(offers)] : skip('only one kind of payment is offered')
}

function pairOf(offer: LooseChallenge): string {
  return `${offer.get('method')}/${offer.get('intent')}`
}

/** A token of random bytes, for what no server has issued. */
export function randomToken(bytes: number): string {
  return encodeBase64url(crypto.getRandomValues(new Uint8Array(bytes)))
}
