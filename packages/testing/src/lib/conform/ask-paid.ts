import { parseReceipt } from '@mppkit/core'
import { check, skip, type Question } from './question.ts'
import { contentOf, tokenOf, withField, type Subject } from './subject.ts'
import { brief, hasDirective, isServed } from './tell.ts'
import { notServed } from './ask-refusal.ts'
import type { Got } from '../buyer.ts'

const group = 'spec'
const pays = true

/** What a payment buys, and what comes with it. */
export const paidQuestions: readonly Question[] = [
  {
    id: 'payment-served',
    group,
    pays,
    requirements: ['CORE-007', 'CHG-005', 'CORE-148'],
    title: 'A good payment is served',
    remedy: 'Verify the credential against the challenge that it echoes, settle it, and run the route.',
    async ask(subject) {
      const { got } = await subject.firstPurchase()
      check(isServed(got), `it was answered ${brief(got)}`)
      return `answered ${got.status}`
    },
  },
  {
    id: 'receipt-sent',
    group,
    pays,
    requirements: ['CORE-076', 'CHG-004'],
    title: 'A paid answer carries a Payment-Receipt',
    remedy: 'Send `Payment-Receipt` with the successful answer: the buyer’s books need it.',
    async ask(subject) {
      check((await purchase(subject)).get('payment-receipt') !== null, 'Payment-Receipt is missing')
    },
  },
  {
    id: 'receipt-shape',
    group,
    pays,
    requirements: ['CORE-077', 'CORE-078', 'CORE-079'],
    title: 'A receipt is unpadded base64url of JSON with status "success", method, timestamp and reference',
    remedy:
      'Encode {"status":"success","method":…,"timestamp":RFC 3339,"reference":…} in base64url without "=".',
    async ask(subject) {
      const field = receiptOf(await purchase(subject))
      const receipt = (() => {
        try {
          return parseReceipt(field)
        } catch (error) {
          return check(false, (error as Error).message)
        }
      })()
      const { reference } = JSON.parse(Buffer.from(field, 'base64url').toString()) as { reference?: unknown }
      check(typeof reference === 'string' && reference !== '', `reference is ${JSON.stringify(reference)}`)
      const { signed } = await subject.firstPurchase()
      const { method } = signed.challenge
      check(receipt!.method === method, `the receipt says ${receipt!.method}, and ${method} was paid`)
    },
  },
  {
    id: 'receipt-private',
    group,
    pays,
    requirements: ['CORE-156'],
    title: 'An answer with a receipt is marked Cache-Control: private',
    remedy:
      'Send `Cache-Control: private` with every answer that has a receipt, or the next visitor gets it from a cache.',
    async ask(subject) {
      const got = await purchase(subject)
      receiptOf(got)
      const own = got.get('cache-control')
      check(hasDirective(got, 'private'), `Cache-Control is ${own ?? 'missing'}`)
      check(!hasDirective(got, 'public'), `Cache-Control is ${own}`)
    },
  },
  {
    id: 'content-withheld',
    group,
    pays,
    requirements: ['CHG-001', 'CORE-001'],
    title: 'The answer that asks for money does not hold the paid content',
    remedy: 'Run the route only after the payment.',
    async ask(subject) {
      const { text } = await purchase(subject)
      if (text.length < 12) skip('the paid content is too short to be recognised')
      check(!(await subject.unpaid()).text.includes(text), 'the paid content stands in the 402')
    },
  },
  {
    id: 'scheme-any-case',
    group,
    pays,
    requirements: ['CORE-068', 'CORE-024'],
    title: 'The scheme is read in any case',
    remedy: 'Compare the scheme name without regard to case.',
    async ask(subject) {
      const signed = await subject.credential()
      const got = await subject.present({
        ...signed,
        authorization: signed.authorization.replace('Payment', 'pAYMENT'),
      })
      check(isServed(got), `\`pAYMENT …\` was answered ${brief(got)}`)
    },
  },
  {
    id: 'scheme-whole',
    group,
    pays,
    requirements: ['CORE-024', 'CORE-111'],
    title: 'A scheme whose name only begins with Payment is another scheme',
    remedy: 'Compare the whole scheme name, up to the blank.',
    async ask(subject) {
      const { authorization, header } = await subject.credential()
      for (const scheme of ['Paymentx', 'Payment2', 'XPayment'])
        notServed(
          await subject.send(withField(subject.raw, header, authorization.replace('Payment', scheme))),
          scheme,
        )
    },
  },
  {
    id: 'unknown-members',
    group,
    pays,
    requirements: ['CORE-112'],
    title: 'Unknown members of a credential are ignored',
    remedy: 'Read what you know and leave the rest alone, in `challenge` too.',
    async ask(subject) {
      const signed = await subject.credential()
      const content = contentOf(signed)
      const challenge = { ...content.challenge, 'x-future': 'y' }
      const authorization = tokenOf({ ...content, challenge, future: { x: [1] } })
      const got = await subject.present({ ...signed, authorization })
      check(isServed(got), `with more members it was answered ${brief(got)}`)
    },
  },
  {
    id: 'large-payment',
    group,
    pays,
    requirements: ['CORE-120'],
    title: 'A good credential of 6 KB is served',
    remedy: 'Do not cut or refuse credentials below 8 KB.',
    async ask(subject) {
      const signed = await subject.credential()
      const content = contentOf(signed)
      // Described at length: the one member that nobody binds.
      const challenge = { ...content.challenge, description: 'x'.repeat(4200) }
      const authorization = tokenOf({ ...content, challenge })
      const got = await subject.present({ ...signed, authorization })
      check(isServed(got), `it was answered ${brief(got)}`)
    },
  },
  {
    id: 'idempotency-key',
    group,
    pays,
    requirements: ['CORE-141', 'CORE-142'],
    title:
      'A retry of a POST, PUT or DELETE with the same Idempotency-Key and credential gets the first result',
    remedy: 'Keep the answer under key and payer, and send it again instead of running the operation.',
    async ask(subject) {
      if (!['POST', 'PUT', 'DELETE'].includes(subject.raw.method ?? 'GET'))
        skip('asked of POST, PUT and DELETE only')
      const raw = withField(subject.raw, 'Idempotency-Key', `conform-${crypto.randomUUID()}`)
      const { signed, got: first } = await subject.buy(raw)
      const again = await subject.present(signed, raw)
      check(
        again.status === first.status && again.text === first.text,
        `the retry was answered ${brief(again)}`,
      )
    },
  },
  {
    id: 'failure-no-receipt',
    group,
    pays,
    requirements: ['CORE-080', 'CORE-081'],
    title: 'A paid request that fails is no 2xx and carries no receipt',
    remedy: 'Set the receipt when the final status is known, and only on 2xx.',
    async ask(subject) {
      const target = subject.failing ?? skip('no failing target was named')
      const raw = { ...subject.raw, target }
      const signed = await subject.credential(raw)
      const got = await subject.send(withField(raw, signed.header, signed.authorization))
      check(!isServed(got), `${target} was answered ${brief(got)}`)
      check(got.get('payment-receipt') === null, `${got.status} carries a receipt`)
    },
  },
]

/** The answer to the first purchase. */
async function purchase(subject: Subject): Promise<Got> {
  const { got } = await subject.firstPurchase()
  return isServed(got) ? got : skip('the purchase failed')
}

function receiptOf(got: Got): string {
  return got.get('payment-receipt') ?? skip('there is no receipt')
}
