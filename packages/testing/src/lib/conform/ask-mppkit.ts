import { parseChallenges } from '@mppkit/core'
import { randomToken } from './ask-answer.ts'
import { notServed } from './ask-refusal.ts'
import { check, skip, type Question } from './question.ts'
import { contentOf, tokenOf, withField } from './subject.ts'
import { brief, codeOf, isServed } from './tell.ts'

const group = 'mppkit'
const level = 'error'
const pays = true

/** What mppkit promises beyond the drafts: methods, scope, headers, keys. */
export const mppkitQuestions: readonly Question[] = [
  {
    id: 'head-priced',
    group,
    level,
    requirements: ['CORE-001', 'CORE-155'],
    title: 'HEAD shows the price of GET, without a body',
    remedy: 'Let HEAD pass the gate of GET.',
    async ask(subject) {
      if ((subject.raw.method ?? 'GET') !== 'GET') skip('asked of GET only')
      const got = await subject.send({ target: subject.raw.target, method: 'HEAD' })
      check(got.status === 402, `it was answered ${got.status}`)
      const [shown] = parseChallenges(got.all('www-authenticate')).challenges
      const [own] = parseChallenges((await subject.unpaid()).all('www-authenticate')).challenges
      check(shown?.request === own?.request, 'it shows another price')
    },
  },
  {
    id: 'head-uses-nothing',
    group,
    level,
    pays,
    requirements: ['CORE-139'],
    title: 'HEAD with a credential is 409, and the credential stays good',
    remedy: 'Refuse HEAD before the claim: its answer has no content to be paid for.',
    async ask(subject) {
      if ((subject.raw.method ?? 'GET') !== 'GET') skip('asked of GET only')
      if ((await subject.send({ target: subject.raw.target, method: 'HEAD' })).status !== 402)
        skip('HEAD has no price')
      const signed = await subject.credential()
      const got = await subject.send(
        withField({ target: subject.raw.target, method: 'HEAD' }, signed.header, signed.authorization),
      )
      check(got.status === 409, `it was answered ${got.status}`)
      const paid = await subject.present(signed)
      check(isServed(paid), `afterwards the credential was answered ${brief(paid)}`)
    },
  },
  {
    id: 'options-free',
    group,
    level,
    requirements: ['CORE-139', 'CORE-014'],
    title: 'OPTIONS is answered without a price, and without the content',
    remedy: 'Answer OPTIONS before the handler (204): a preflight cannot pay.',
    async ask(subject) {
      const got = await subject.send({ target: subject.raw.target, method: 'OPTIONS' })
      check(got.status !== 402 && got.get('www-authenticate') === null, 'it asks for money')
      check(got.status < 500, `it was answered ${brief(got)}`)
      if (!subject.payer) return
      const { got: paid } = await subject.firstPurchase()
      check(paid.text.length < 12 || !got.text.includes(paid.text), 'it holds the paid content')
    },
  },
  {
    id: 'query-bound',
    group,
    level,
    pays,
    requirements: ['CORE-059', 'CORE-139'],
    title: 'A payment for one query buys no other query',
    remedy: 'Bind path and query to the challenge (a hash of them in opaque).',
    async ask(subject) {
      const signed = await subject.credential()
      const { target } = subject.raw
      const other = { ...subject.raw, target: `${target}${target.includes('?') ? '&' : '?'}conform=1` }
      if (isServed(await subject.send(other))) skip('with another query the resource is free')
      notServed(await subject.send(withField(other, signed.header, signed.authorization)), other.target)
    },
  },
  {
    id: 'method-bound',
    group,
    level,
    pays,
    requirements: ['CORE-059', 'CORE-139'],
    title: 'A payment for one HTTP method buys no other',
    remedy: 'Bind the method to the challenge.',
    async ask(subject) {
      const signed = await subject.credential()
      for (const method of ['GET', 'POST', 'PUT', 'DELETE'].filter(
        (one) => one !== (subject.raw.method ?? 'GET'),
      )) {
        const other = { ...subject.raw, method }
        if (method === 'GET') delete other.body
        // What is free has nothing to be bought.
        if (isServed(await subject.send(other))) continue
        notServed(await subject.send(withField(other, signed.header, signed.authorization)), method)
      }
    },
  },
  {
    id: 'two-credentials-kept',
    group,
    level,
    pays,
    requirements: ['CORE-075', 'CORE-164'],
    title: 'Two good credentials in one request are 400, and both stay good',
    remedy: 'Count the credentials before any of them is claimed.',
    async ask(subject) {
      const [one, two] = [await subject.credential(), await subject.credential()]
      const raw = withField(
        withField(subject.raw, one.header, one.authorization),
        two.header,
        two.authorization,
      )
      const got = await subject.send(raw)
      check(got.status === 400, `they were answered ${brief(got)}`)
      for (const signed of [one, two]) {
        const paid = await subject.present(signed)
        check(isServed(paid), `afterwards one of them was answered ${brief(paid)}`)
      }
    },
  },
  {
    id: 'refusal-keeps-payment',
    group,
    level,
    pays,
    requirements: ['CORE-139', 'CORE-140'],
    title: 'A refused copy of a credential takes nothing from the good one',
    remedy: 'Refuse before you write: verification has no side effects.',
    async ask(subject) {
      const signed = await subject.credential()
      const content = contentOf(signed)
      for (const challenge of [
        { ...content.challenge, id: randomToken(32) },
        { ...content.challenge, realm: 'other.example' },
        { ...content.challenge, opaque: 'e30' },
      ])
        await subject.send(withField(subject.raw, signed.header, tokenOf({ ...content, challenge })))
      const got = await subject.present(signed)
      check(isServed(got), `afterwards the good one was answered ${brief(got)}`)
    },
  },
  {
    id: 'kept-answer',
    group,
    level,
    pays,
    requirements: ['CORE-142'],
    title: 'With an Idempotency-Key, a retry gets the kept answer and its receipt, whatever the method',
    remedy: 'Send answers below 64 KB in one piece, and use a store that keeps them.',
    async ask(subject) {
      const raw = withField(subject.raw, 'Idempotency-Key', `conform-${crypto.randomUUID()}`)
      const { signed, got: first } = await subject.buy(raw)
      const type = first.get('content-type') ?? ''
      if (/^text\/event-stream\b/i.test(type) || first.bytes.length > 65_536)
        skip('streams, and answers above 64 KB, are not kept')
      const retry = await subject.present(signed, raw)
      check(
        retry.status === first.status && retry.text === first.text,
        `the retry was answered ${brief(retry)}`,
      )
      check(retry.get('payment-receipt') === first.get('payment-receipt'), 'its receipt is another one')
    },
  },
  {
    id: 'scripts-may-read',
    group,
    level,
    requirements: ['CORE-001'],
    title: 'Scripts of other origins may read challenge and receipt',
    remedy: 'Send Access-Control-Expose-Headers with WWW-Authenticate and Payment-Receipt.',
    async ask(subject) {
      const exposed = (await subject.unpaid()).get('access-control-expose-headers')?.toLowerCase() ?? ''
      for (const name of ['www-authenticate', 'payment-receipt'])
        check(
          exposed.includes(name),
          `Access-Control-Expose-Headers is ${exposed === '' ? 'missing' : exposed}`,
        )
    },
  },
  {
    id: 'other-header-refused',
    group,
    level,
    pays,
    requirements: ['CORE-075'],
    title: 'A credential in the other header is 400, and stays good',
    remedy: 'Take credentials from one header only, the one that the challenge names.',
    async ask(subject) {
      const signed = await subject.credential()
      const other =
        signed.header.toLowerCase() === 'authorization' ? 'Payment-Authorization' : 'Authorization'
      const got = await subject.send(withField(subject.raw, other, signed.authorization))
      check(got.status === 400, `in ${other} it was answered ${brief(got)}`)
      const paid = await subject.present(signed)
      check(isServed(paid), `afterwards it was answered ${brief(paid)}`)
    },
  },
  {
    id: 'login-beside',
    group,
    level,
    pays,
    requirements: ['CORE-001', 'CORE-075'],
    title: 'A login beside the credential, on a line of its own, takes nothing from it',
    remedy: 'Read all lines of Authorization, and leave other schemes to others.',
    async ask(subject) {
      const signed = await subject.credential()
      if (signed.header.toLowerCase() !== 'authorization') skip('credentials come in a header of their own')
      const raw = withField(
        withField(subject.raw, 'Authorization', 'Bearer abc.def'),
        signed.header,
        signed.authorization,
      )
      const got = await subject.send(raw)
      check(isServed(got), `it was answered ${brief(got)}`)
    },
  },
  {
    id: 'login-alone',
    group,
    level,
    requirements: ['CORE-001', 'CORE-105'],
    title: 'A login alone is asked for money: 402, problem payment-required',
    remedy: 'Treat credentials of other schemes as no payment.',
    async ask(subject) {
      const got = await subject.send(withField(subject.raw, 'Authorization', 'Bearer abc.def'))
      check(got.status === 402 && codeOf(got) === 'payment-required', `it was answered ${brief(got)}`)
    },
  },
]
