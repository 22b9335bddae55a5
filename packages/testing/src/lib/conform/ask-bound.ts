import {
  canonicalize,
  decodeRequest,
  encodeBase64url,
  parseBaseUnits,
  parseChallenges,
  type Challenge,
  type JsonObject,
} from '@mppkit/core'
import { notServed } from './ask-refusal.ts'
import { check, skip, type Question } from './question.ts'
import { contentOf, tokenOf, withField, type Signed, type Subject } from './subject.ts'
import { brief, codeOf, isServed } from './tell.ts'

const group = 'spec'
const pays = true
const REMEDY =
  'Bind the id to all parameters (HMAC over realm, method, intent, request, expires, digest, opaque), and check it.'

/** What a payment is bound to. */
export const boundQuestions: readonly Question[] = [
  ...tampering('id', ['CORE-059', 'CORE-035'], (challenge) => ({
    ...challenge,
    id: `${challenge.id.startsWith('A') ? 'B' : 'A'}${challenge.id.slice(1)}`,
  })),
  ...tampering('realm', ['CORE-035', 'CORE-059'], (challenge) => ({ ...challenge, realm: 'other.example' })),
  ...tampering('method', ['CORE-035', 'CORE-059'], (challenge) => ({ ...challenge, method: 'nosuchmethod' })),
  ...tampering('intent', ['CORE-035', 'CORE-059'], (challenge) => ({ ...challenge, intent: 'session' })),
  ...tampering('amount', ['CORE-035', 'CHG-029'], (challenge) => {
    return withRequest(challenge, lowered(decodeRequest(challenge.request)))
  }),
  ...tampering('recipient', ['CORE-035', 'CHG-030'], (challenge, payer) => {
    const request = decodeRequest(challenge.request)
    return withRequest(challenge, { ...request, recipient: payer ?? 'stranger' })
  }),
  ...tampering('expires', ['CORE-035', 'CHG-027', 'CORE-004'], ({ expires, ...challenge }) => ({
    ...challenge,
    expires:
      expires === undefined
        ? skip('there is no expires')
        : new Date(Date.parse(expires) + 3_600_000).toISOString().replace(/\.\d+/, ''),
  })),
  ...tampering('opaque', ['CORE-056'], ({ opaque, ...challenge }) => ({
    ...challenge,
    opaque:
      opaque === undefined ? skip('there is no opaque') : encodeBase64url(canonicalize({ changed: 'yes' })),
  })),
  ...tampering('digest', ['CORE-035', 'CORE-065'], ({ digest, ...challenge }) =>
    digest === undefined ? skip('there is no digest') : challenge,
  ),
  {
    id: 'digest-checked',
    group,
    pays,
    requirements: ['CORE-064', 'CORE-065', 'CORE-066'],
    title: 'A payment for one body does not buy another one',
    remedy:
      'Compute the digest of the body that comes with the credential, and compare it with the challenge’s.',
    async ask(subject) {
      const { body } = subject.raw
      if (body === undefined) skip('the request has no body; ask with one')
      const signed = await subject.credential()
      if (signed.challenge.digest === undefined) skip('no digest was sent')
      const other = { ...subject.raw, body: `${String(body)} ` }
      notServed(await subject.send(withField(other, signed.header, signed.authorization)), 'another body')
    },
  },
  {
    id: 'bad-proof',
    group,
    pays,
    requirements: ['CORE-006', 'CHG-028'],
    title: 'A proof that does not verify buys nothing',
    remedy: 'Verify the proof by the rules of the method before anything is served.',
    async ask(subject) {
      const signed = await spoiled(subject)
      notServed(
        await subject.send(withField(subject.raw, signed.header, signed.authorization)),
        'a spoiled proof',
      )
    },
  },
  {
    id: 'bad-proof-named',
    group,
    pays,
    requirements: ['CORE-006', 'CORE-082', 'CORE-108'],
    title: 'A proof that does not verify is answered 402, problem verification-failed',
    remedy: 'Answer 402 with a fresh challenge and https://paymentauth.org/problems/verification-failed.',
    async ask(subject) {
      const signed = await spoiled(subject)
      const got = await subject.send(withField(subject.raw, signed.header, signed.authorization))
      if (isServed(got)) skip('it was served')
      check(got.status === 402, `it was answered ${brief(got)}`)
      const code = codeOf(got) ?? skip('the body is no problem')
      check(['verification-failed', 'malformed-credential'].includes(code), `it was called ${code}`)
    },
  },
  {
    id: 'refusal-payable',
    group,
    pays,
    requirements: ['CORE-165'],
    title: 'The challenge of a refusal can be paid',
    remedy: 'Make a fresh challenge for every refusal; never repeat the one that was refused.',
    async ask(subject) {
      const bad = await spoiled(subject)
      const refusal = await subject.send(withField(subject.raw, bad.header, bad.authorization))
      const [challenge] = parseChallenges(refusal.all('www-authenticate')).challenges.filter(
        ({ method }) => method === bad.challenge.method,
      )
      if (!challenge || refusal.status !== 402) skip('the refusal carries no challenge')
      check(challenge.id !== bad.challenge.id, 'it has the id of the refused one')
      const got = await subject.present(await subject.sign(challenge))
      check(isServed(got), `its payment was answered ${brief(got)}`)
    },
  },
  {
    id: 'underpaid',
    group,
    pays,
    requirements: ['CHG-029'],
    title: 'A proof over less than the amount buys nothing',
    remedy: 'Compare the amount that the proof moves with the amount of the challenge.',
    ask: (subject) => misquoted(subject, lowered),
  },
  {
    id: 'misdirected',
    group,
    pays,
    requirements: ['CHG-030'],
    title: 'A proof that pays somebody else buys nothing',
    remedy: 'Compare the recipient that the proof pays with the recipient of the challenge.',
    ask: (subject) =>
      misquoted(subject, (request, payer) => ({ ...request, recipient: payer ?? 'stranger' })),
  },
]

/** The question whether one parameter can be changed. */
function tampering(
  slot: string,
  requirements: string[],
  change: (challenge: Challenge, payer: string | undefined) => Challenge,
): Question[] {
  return [
    {
      id: `tampered-${slot}`,
      group,
      pays,
      requirements,
      title: `A credential whose ${slot} was changed buys nothing`,
      remedy: REMEDY,
      async ask(subject) {
        const own = await subject.credential()
        const { challenge } = own
        const forged = change(challenge, addressOf(own))
        // The payer signs what was changed: whoever cheats does so too.
        const signed = slot === 'method' ? await subject.sign(challenge) : await subject.sign(forged)
        const authorization = tokenOf({ ...contentOf(signed), challenge: forged })
        notServed(
          await subject.send(withField(subject.raw, signed.header, authorization)),
          `a changed ${slot}`,
        )
      },
    },
  ]
}

/** Pays other terms than those of the challenge. */
async function misquoted(
  subject: Subject,
  change: (request: JsonObject, payer: string | undefined) => JsonObject,
): Promise<void> {
  const own = await subject.credential()
  const { challenge } = own
  const signed = await subject.sign(challenge, change(decodeRequest(challenge.request), addressOf(own)))
  notServed(await subject.send(withField(subject.raw, signed.header, signed.authorization)), 'it')
}

/** A credential with a proof that holds one wrong letter. */
async function spoiled(subject: Subject): Promise<Signed> {
  const signed = await subject.credential()
  const content = contentOf(signed)
  const [name, text] = Object.entries(content.payload)
    .filter((entry): entry is [string, string] => typeof entry[1] === 'string')
    .reduce((longest, entry) => (entry[1].length > longest[1].length ? entry : longest), ['', ''])
  const at = Math.floor(text.length / 2)
  const letter = text[at] === '1' ? '2' : '1'
  const payload = { ...content.payload, [name]: text.slice(0, at) + letter + text.slice(at + 1) }
  return { ...signed, authorization: tokenOf({ ...content, payload }) }
}

function withRequest(challenge: Challenge, request: JsonObject): Challenge {
  return { ...challenge, request: encodeBase64url(canonicalize(request)) }
}

function lowered(request: JsonObject): JsonObject {
  const amount = parseBaseUnits(request.amount) ?? 0n
  return amount > 1n ? { ...request, amount: '1' } : skip('the amount cannot be lowered')
}

/** The payer's own address on a chain: money that a bad server sends there is not lost. */
function addressOf(signed: Signed): string | undefined {
  return /0x[0-9a-fA-F]{40}$/.exec(contentOf(signed).source ?? '')?.[0]
}
