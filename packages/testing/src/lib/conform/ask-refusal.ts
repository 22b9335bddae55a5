import { existsSync, readFileSync } from 'node:fs'
import { randomToken } from './ask-answer.ts'
import { check, skip, type Question } from './question.ts'
import { tokenOf, withField, type Subject } from './subject.ts'
import { brief, codeOf, isServed } from './tell.ts'
import type { Got } from '../buyer.ts'

const group = 'spec'

/** What no payment is, and what is said to it. Nobody has to pay for these. */
export const refusalQuestions: readonly Question[] = [
  {
    id: 'malformed-refused',
    group,
    requirements: ['CORE-002', 'CORE-009', 'CORE-069', 'CORE-070'],
    title: 'A credential that cannot be decoded is answered 402',
    remedy:
      'Catch every error of decoding (alphabet, UTF-8, JSON, types) and answer 402 with a fresh challenge.',
    async ask(subject) {
      await subject.offered()
      const wrong: string[] = []
      const asked = malformed()
      await inBatches(asked, async ({ id, line }) => {
        const got = await subject.send(await subject.withCredential(line))
        if (got.status !== 402) wrong.push(`${id}: ${got.status}`)
      })
      check(
        wrong.length === 0,
        `${wrong.length} of ${asked.length} were not: ${wrong.slice(0, 4).join(', ')}`,
      )
      return `${asked.length} malformed credentials`
    },
  },
  {
    id: 'malformed-named',
    group,
    requirements: ['CORE-002', 'CORE-107', 'CORE-108'],
    title: 'The problem of a credential that cannot be decoded is malformed-credential',
    remedy: 'Use the problem type https://paymentauth.org/problems/malformed-credential.',
    async ask(subject) {
      for (const line of [
        'Payment !!!',
        'Payment W10',
        `Payment ${Buffer.from('{"challenge":').toString('base64url')}`,
      ]) {
        const got = await subject.send(await subject.withCredential(line))
        const code = problemIn(got)
        check(code === 'malformed-credential', `\`${line}\` was called ${code}`)
      }
    },
  },
  {
    id: 'members-required',
    group,
    requirements: ['CORE-073'],
    title: 'A credential that lacks one of the echoed parameters is refused with 402',
    remedy:
      'Demand id, realm, method, intent and request as strings in `challenge` before you use any of them.',
    async ask(subject) {
      const challenge = await subject.quote()
      for (const name of ['id', 'realm', 'method', 'intent', 'request'] as const) {
        const { [name]: _, ...rest } = challenge
        for (const spoiled of [rest, { ...rest, [name]: 7 }]) {
          const got = await subject.send(
            await subject.withCredential(tokenOf({ challenge: spoiled, payload: {} })),
          )
          check(
            got.status === 402,
            `${name in spoiled ? 'with a number for' : 'without'} ${name} it was answered ${brief(got)}`,
          )
        }
      }
    },
  },
  {
    id: 'unknown-id',
    group,
    requirements: ['CORE-003', 'CHG-026'],
    title: 'An id that this server has not issued is refused with 402',
    remedy: 'Check the id (HMAC or database) before the payment, and answer 402, problem invalid-challenge.',
    async ask(subject) {
      const challenge = await subject.quote()
      for (const id of [randomToken(32), 'x', '../../x', `${challenge.id}0`]) {
        const line = tokenOf({ challenge: { ...challenge, id }, payload: {} })
        const got = await subject.send(await subject.withCredential(line))
        check(got.status === 402, `the id ${id.slice(0, 12)} was answered ${brief(got)}`)
      }
    },
  },
  {
    id: 'unknown-id-named',
    group,
    requirements: ['CORE-003', 'CORE-108'],
    title: 'The problem of an id that was not issued is invalid-challenge',
    remedy: 'Use the problem type https://paymentauth.org/problems/invalid-challenge.',
    async ask(subject) {
      const challenge = await subject.quote()
      const content = { challenge: { ...challenge, id: randomToken(32) }, payload: {} }
      const got = await subject.send(await subject.withCredential(tokenOf(content)))
      const code = problemIn(got)
      // Nothing says that the id is looked at before the (empty) payload.
      check(code === 'invalid-challenge' || code === 'malformed-credential', `it was called ${code}`)
    },
  },
  {
    id: 'other-schemes',
    group,
    requirements: ['CORE-001', 'CORE-024'],
    title: 'Credentials of other schemes are no payment',
    remedy: 'Compare the whole scheme name; leave other schemes to whoever they are for.',
    async ask(subject) {
      await subject.offered()
      for (const line of ['Bearer abc.def', 'Basic YTpi', 'PaymentX e30', 'Payments e30']) {
        const got = await subject.send(withField(subject.raw, 'Authorization', line))
        check([400, 401, 402, 403].includes(got.status), `\`${line}\` was answered ${brief(got)}`)
        check(codeOf(got) !== 'malformed-credential', `\`${line}\` was taken for a Payment credential`)
      }
    },
  },
  {
    id: 'one-credential',
    group,
    requirements: ['CORE-164'],
    title: 'Several credentials in one request are refused with 400',
    remedy: 'Count the Payment credentials over all Authorization lines, and answer 400 to more than one.',
    async ask(subject) {
      const challenge = await subject.quote()
      const one = tokenOf({ challenge, payload: {} })
      const two = tokenOf({ challenge: await subject.quote(), payload: { x: 1 } })
      const inOne = await subject.send(await subject.withCredential(`${one}, ${two}`))
      check(inOne.status === 400, `two in one line were answered ${brief(inOne)}`)
      const inTwo = await subject.send(
        withField(await subject.withCredential(one), await subject.credentialHeader(), two),
      )
      check(inTwo.status === 400, `two lines were answered ${brief(inTwo)}`)
    },
  },
  {
    id: 'large-credential',
    group,
    requirements: ['CORE-120'],
    title: 'A credential of 4 KB and more is read',
    remedy: 'Raise the limits of header size (server and proxy) to 16 KB at least.',
    async ask(subject) {
      if (subject.payer) skip('asked with a good credential')
      const challenge = await subject.quote()
      const line = tokenOf({
        challenge: { ...challenge, id: randomToken(32) },
        payload: {},
        padding: 'x'.repeat(5000),
      })
      const got = await subject.send(await subject.withCredential(line))
      check(got.status === 402 && codeOf(got) !== 'payment-required', `7 KB were answered ${brief(got)}`)
    },
  },
]

/** The published vectors of credentials that no server can read. */
function malformed(): { id: string; line: string }[] {
  const file = new URL('../../../vectors/core.json', import.meta.url)
  if (!existsSync(file)) skip('the published vectors are missing (vectors/core.json)')
  const vectors = JSON.parse(readFileSync(file, 'utf8')) as {
    id: string
    kind: string
    input: { fieldLines?: string[] }
    expected: { outcome: string; alsoAcceptable?: string[] }
  }[]
  return vectors.flatMap(({ id, kind, input: { fieldLines: lines = [] }, expected }) => {
    const plain = lines.length === 1 && /^[\t\x20-\x7e]{1,6000}$/.test(lines[0]!)
    const clear = expected.outcome === 'malformed' && !expected.alsoAcceptable
    return kind === 'credential-parse' && plain && clear ? [{ id, line: lines[0]! }] : []
  })
}

/** Several at a time, for servers that are far away. */
async function inBatches<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += 8) await Promise.all(items.slice(at, at + 8).map(work))
}

function problemIn(got: Got): string {
  if (isServed(got)) skip('it was served')
  if (got.status !== 402) skip(`it was answered ${got.status}`)
  return codeOf(got) ?? skip('the body is no problem')
}

/** Refuses a question whose attack was served. */
export function notServed(got: Got, what: string): void {
  check(!isServed(got), `${what} was served (${got.status})`)
}

/** A request with a signed payment, sent once. */
export function presentOnce(subject: Subject, authorization: string, header: string): Promise<Got> {
  return subject.send(withField(subject.raw, header, authorization))
}
