import { parseChallenges } from '@mppkit/core'
import { notServed } from './ask-refusal.ts'
import { check, skip, type Question } from './question.ts'
import { contentOf, tokenOf, withField, type Signed, type Subject } from './subject.ts'
import { brief, codeOf, hasDirective, isServed } from './tell.ts'
import type { Got } from '../buyer.ts'

const group = 'spec'
const pays = true

/** One payment, one answer. */
export const onceQuestions: readonly Question[] = [
  {
    id: 'replay',
    group,
    pays,
    requirements: ['CORE-005', 'CHG-024', 'CHG-025', 'CHG-035', 'CHG-037', 'TC-095'],
    title: 'A credential works once',
    remedy: 'Record the id as used, in one atomic step, before the route runs.',
    async ask(subject) {
      notServed(await replayed(subject), 'the same credential')
    },
  },
  {
    id: 'replay-answer',
    group,
    pays,
    requirements: ['CORE-005', 'CORE-009'],
    title: 'A used credential is answered 402 with a new challenge (or 409)',
    remedy: 'Answer 402, problem invalid-challenge, with a fresh challenge.',
    async ask(subject) {
      const got = await replayed(subject)
      if (isServed(got)) skip('it was served')
      check(got.status === 402 || got.status === 409, `it was answered ${brief(got)}`)
      const code = codeOf(got)
      if (got.status !== 402 || code === undefined) return
      check(
        ['invalid-challenge', 'verification-failed', 'payment-expired'].includes(code),
        `it was called ${code}`,
      )
    },
  },
  {
    id: 'replay-reordered',
    group,
    pays,
    requirements: ['CHG-037', 'CORE-137'],
    title: 'A used credential stays used when it is written in another way',
    remedy: 'Remember the id and the proof, never the text of the header.',
    async ask(subject) {
      await unlessReplayed(subject)
      const { signed } = await subject.buy()
      const { challenge, payload, ...rest } = contentOf(signed)
      const turned = Object.fromEntries(Object.entries(challenge).toReversed())
      const authorization = tokenOf({ ...rest, payload, challenge: turned, again: true })
      notServed(await again(subject, authorization, signed.header), 'the same credential, written anew,')
    },
  },
  {
    id: 'challenge-once',
    group,
    pays,
    requirements: ['CHG-036', 'TC-095'],
    title: 'A challenge is paid once: a second payment of it buys nothing more',
    remedy: 'Record the id of the challenge, not only the proof.',
    async ask(subject) {
      await unlessReplayed(subject)
      const { signed } = await subject.buy()
      const other = await anotherPayment(subject, signed)
      notServed(await again(subject, other.authorization, other.header), 'a second payment of one challenge')
    },
  },
  {
    id: 'proof-once',
    group,
    pays,
    requirements: ['CORE-137', 'CORE-138'],
    title: 'A proof pays one challenge: sent with another one it buys nothing',
    remedy: 'Tie the proof to the id of its challenge, and remember proofs.',
    async ask(subject) {
      const { signed } = await subject.buy()
      const challenge = await subject.quote()
      const authorization = tokenOf({ ...contentOf(signed), challenge })
      notServed(await again(subject, authorization, signed.header), 'the proof of another challenge')
    },
  },
  {
    id: 'race',
    group,
    pays,
    requirements: ['CORE-143', 'CHG-024', 'TC-097'],
    title: '20 requests at once with one credential: one is served',
    remedy: 'Claim the id with an atomic write (compare and set) before you settle and serve.',
    async ask(subject) {
      await unlessReplayed(subject)
      const signed = await subject.credential()
      const request = withField(subject.raw, signed.header, signed.authorization)
      const all = await Promise.all(Array.from({ length: 20 }, () => subject.send(request)))
      const served = all.filter(isServed).length
      check(served <= 1, `${served} of 20 were served`)
      const broken = all.find(({ status }) => status >= 500 && status !== 503)
      check(broken === undefined, `one was answered ${broken && brief(broken)}`)
      if (served === 0) await servedYet(subject, signed)
      return `${served} served, the others ${[...new Set(all.filter((one) => !isServed(one)).map(({ status }) => status))].join(' and ')}`
    },
  },
]

/** What is true of every answer that was seen; asked last. */
export const seenQuestions: readonly Question[] = [
  {
    id: 'refusals-challenge',
    group,
    requirements: ['CORE-009', 'CORE-019', 'CORE-082'],
    title: 'Every 402 carries a challenge, refusals of credentials too',
    remedy: 'Send a fresh challenge with every 402.',
    async ask(subject) {
      const bare = refusals(subject).find(({ got }) => got.get('www-authenticate') === null)
      check(!bare, `${bare && brief(bare.got)} has none`)
    },
  },
  {
    id: 'refusals-renew',
    group,
    requirements: ['CORE-165', 'CORE-154'],
    title: 'The challenge of a refusal is not the one that was refused',
    remedy: 'Make a fresh challenge for every refusal.',
    async ask(subject) {
      const unpaid = subject.seen.filter(
        ({ raw }) => !raw.headers?.some(([, value]) => /^payment /i.test(value)),
      )
      const ids = unpaid.flatMap(({ got }) =>
        parseChallenges(got.all('www-authenticate')).challenges.map(({ id }) => id),
      )
      if (new Set(ids).size < ids.length) skip('the server repeats its challenges anyway')
      for (const { raw, got } of refusals(subject)) {
        const used = raw.headers?.flatMap(([, value]) => idIn(value)) ?? []
        const { challenges } = parseChallenges(got.all('www-authenticate'))
        check(!challenges.some(({ id }) => used.includes(id)), 'the refused id was offered again')
      }
    },
  },
  {
    id: 'refusals-not-cached',
    group,
    requirements: ['CORE-155'],
    title: 'Every 402 is marked Cache-Control: no-store, refusals of credentials too',
    remedy: 'Set the header in the one place that makes 402 answers.',
    async ask(subject) {
      const bare = refusals(subject).find(({ got }) => !hasDirective(got, 'no-store'))
      check(!bare, `${bare && brief(bare.got)} is not`)
    },
  },
  {
    id: 'receipts-on-success',
    group,
    requirements: ['CORE-080', 'CORE-081'],
    title: 'No answer but a 2xx carries a receipt',
    remedy: 'Set the receipt when the final status is known, and only on 2xx.',
    async ask({ seen, failing }) {
      const wrong = seen.find(
        ({ raw, got }) => raw.target !== failing && !isServed(got) && got.get('payment-receipt') !== null,
      )
      check(!wrong, `one came with ${wrong && brief(wrong.got)}`)
      return `${seen.length} answers`
    },
  },
  {
    id: 'credentials-kept-quiet',
    group,
    requirements: ['CORE-130', 'CORE-151'],
    title: 'No answer repeats a credential',
    remedy: 'Never put the Authorization header into an error text.',
    async ask({ seen }) {
      const wrong = seen.find(({ raw, got }) =>
        raw.headers?.some(([, value]) => {
          const token = /^\w+ ([\w-]{60,})/.exec(value)?.[1]
          return token !== undefined && got.text.includes(token.slice(0, 60))
        }),
      )
      check(!wrong, `one does, with ${wrong?.got.status}`)
    },
  },
]

/** Where all copies got in each other's way, the payment must still be good. */
export async function servedYet(subject: Subject, signed: Signed): Promise<void> {
  const got = await subject.present(signed)
  check(isServed(got), `none was served, and afterwards the credential was answered ${brief(got)}`)
}

/** A second proof for a challenge: some payers sign the same one again within a second. */
async function anotherPayment(subject: Subject, signed: Signed): Promise<Signed> {
  const first = JSON.stringify(contentOf(signed).payload)
  for (let tries = 0; tries < 4; tries += 1) {
    const other = await subject.sign(signed.challenge)
    if (JSON.stringify(contentOf(other).payload) !== first) return other
    await new Promise((resolve) => setTimeout(resolve, 600))
  }
  return skip('the payer signs the same proof again')
}

const replays = new WeakMap<Subject, Promise<Got>>()

/** The answer to a credential that was served before; asked once. */
function replayed(subject: Subject): Promise<Got> {
  let answer = replays.get(subject)
  answer ??= subject.buy().then(({ signed }) => again(subject, signed.authorization, signed.header))
  replays.set(subject, answer)
  return answer
}

/** Whoever serves a plain replay fails all of these; it is told once. */
async function unlessReplayed(subject: Subject): Promise<void> {
  if (isServed(await replayed(subject))) skip('a used credential is served again, whatever it is')
}

function again(subject: Subject, authorization: string, header: string): Promise<Got> {
  return subject.send(withField(subject.raw, header, authorization))
}

/** The 402 answers to requests with a Payment credential. */
function refusals({ seen }: Subject): Subject['seen'] {
  const found = seen.filter(
    ({ raw, got }) => got.status === 402 && raw.headers?.some(([, value]) => /^payment /i.test(value)),
  )
  return found.length > 0 ? found : skip('no credential was refused with 402')
}

function idIn(value: string): string[] {
  try {
    const { challenge } = contentOf({ authorization: value })
    return typeof challenge?.id === 'string' ? [challenge.id] : []
  } catch {
    return []
  }
}
