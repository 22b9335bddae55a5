import { encodeBase64url, type Challenge } from '@mppkit/core'
import { expect } from 'vitest'
import { corpus, outcomeOf, tamperings } from './credential-corpus.ts'
import {
  expectPaid,
  expectRefusal,
  problemOf,
  reissue,
  token,
  untoken,
  withCredential,
  type Bench,
} from './test-adapter-bench.ts'
import { toyWallet } from './toy-wallet.ts'

/** What is not, or not quite, a credential. */
export function credentialQuestions(bench: Bench): void {
  const { ask, credential, insist, ledger, quote, route, send, store, toy, toyGates } = bench
  const content = route('/credential/content', { kind: 'text', body: 'paid' })
  const posted = route('/credential/posted', { kind: 'text', body: 'paid' }, { verb: 'post' })
  const onToy = route('/credential/toy', { kind: 'text', body: 'paid' }, { with: toyGates })

  /** Nothing may have been recorded, settled or run by what `work` sends. */
  async function changesNothing(work: () => Promise<void>): Promise<void> {
    const before = [store.written.length, toy.calls.settle, content.starts, posted.starts, onToy.starts]
    await work()
    expect([store.written.length, toy.calls.settle, content.starts, posted.starts, onToy.starts]).toEqual(
      before,
    )
  }

  const inOneLine = (lines: string[]): boolean => lines.length === 1
  const inMoreLines = (lines: string[]): boolean => lines.length > 1
  // Apart, because some frameworks show only the first line of a field.
  for (const [key, how, fits] of [
    ['malformed', 'in one line', inOneLine],
    ['malformed-lines', 'in more lines', inMoreLines],
  ] as const)
    ask(
      key,
      [
        'CORE-002',
        'CORE-009',
        'CORE-011',
        'CORE-069',
        'CORE-070',
        'CORE-073',
        'CORE-139',
        'CORE-140',
        'CORE-024',
      ],
      `what cannot be read, ${how}, is a malformed credential, and changes nothing`,
      async () => {
        const asked = corpus().filter(({ lines }) => fits(lines))
        expect(asked.length).toBeGreaterThan(0)
        const wrong: string[] = []
        await changesNothing(async () => {
          for (const { id, lines, outcomes } of asked) {
            const got = await send({
              target: content.target,
              headers: lines.map((line) => ['Authorization', line] as const),
            })
            const outcome = outcomeOf(got)
            if (!outcomes.includes(outcome)) wrong.push(`${id}: ${outcome}, not ${outcomes.join(' or ')}`)
            if (got.status === 402) expectRefusal(got)
          }
        })
        expect(wrong).toEqual([])
      },
    )

  ask(
    'scheme',
    ['CORE-024', 'CORE-068', 'CORE-069'],
    'the scheme is taken in any case, with any number of blanks',
    async () => {
      for (const scheme of ['payment ', 'PAYMENT ', 'PayMent    ']) {
        const good = await credential(content)
        expectPaid(await send(withCredential(content, good.replace('Payment ', scheme))))
      }
    },
  )

  ask(
    'other-scheme',
    ['CORE-001', 'CORE-024', 'CORE-111'],
    'a credential of another scheme is none',
    async () => {
      const good = await credential(content)
      for (const value of [
        'Bearer abc.def',
        'Basic YTpi',
        good.replace('Payment', 'Payment2'),
        good.replace('Payment', 'XPayment'),
      ]) {
        expectRefusal(await send(withCredential(content, value)), 'payment-required')
      }
    },
  )

  ask(
    'unknown-members',
    ['CORE-112', 'CORE-052', 'CHG-022', 'CORE-148'],
    'unknown members, and unbound ones, are ignored',
    async () => {
      const good = untoken(await credential(content))
      const challenge = { ...good.challenge, description: 'one cent only', future: 'y' }
      expectPaid(await send(withCredential(content, token({ ...good, challenge, future: { x: [1] } }))))
      const { source: _, ...anonymous } = untoken(await credential(content))
      expectPaid(await send(withCredential(content, token(anonymous))))
    },
  )

  ask(
    'foreign',
    ['CORE-003', 'CHG-026'],
    'an id that was not issued here is an invalid challenge',
    async () => {
      await changesNothing(async () => {
        const good = untoken(await credential(content))
        for (const id of [
          encodeBase64url(crypto.getRandomValues(new Uint8Array(32))),
          'x',
          good.challenge.id.toLowerCase(),
          `${good.challenge.id}=`,
        ]) {
          const fresh = expectRefusal(
            await send(withCredential(content, token({ ...good, challenge: { ...good.challenge, id } }))),
            'invalid-challenge',
          )
          expect(fresh.id).not.toBe(good.challenge.id)
        }
      })
    },
  )

  ask(
    'tampered',
    ['CORE-035', 'CORE-040', 'CORE-056', 'CORE-058', 'CORE-059', 'CORE-063', 'CORE-065', 'CORE-139'],
    'every slot is bound: a change in any of them is refused and changes nothing',
    async () => {
      const raw = { target: posted.target, method: 'POST', body: '{"a":1}' }
      const good = await credential(raw)
      await changesNothing(async () => {
        for (const [slot, challenge] of tamperings(untoken(good).challenge)) {
          const got = await send(withCredential(raw, token({ ...untoken(good), challenge })))
          expect([slot, got.status]).toEqual([slot, 402])
          expectRefusal(got, 'invalid-challenge', 'malformed-credential', 'verification-failed')
        }
      })
      expectPaid(await send(withCredential(raw, good)))
    },
  )

  ask(
    'other-method',
    ['CORE-108', 'CORE-040'],
    'a credential for a method that is not offered here is refused',
    async () => {
      const good = untoken(await credential(content))
      const challenge = reissue(good.challenge, { method: 'nosuchmethod' })
      const got = await send(withCredential(content, token({ ...good, challenge })))
      expect([got.status, problemOf(got), got.get('payment-receipt')]).toEqual([
        400,
        'method-unsupported',
        null,
      ])
    },
  )

  ask(
    'other-realm',
    ['CORE-059'],
    'a challenge of another realm under the same secret buys nothing',
    async () => {
      const good = untoken(await credential(content))
      const challenge = reissue(good.challenge, { realm: 'staging.example' })
      expectRefusal(await send(withCredential(content, token({ ...good, challenge }))), 'invalid-challenge')
    },
  )

  ask(
    'bad-proof',
    ['CORE-006', 'CORE-082', 'CORE-108', 'CORE-165', 'CHG-001', 'CHG-028', 'CORE-139'],
    'a proof that does not verify is refused, and the fresh challenge can be paid',
    async () => {
      let fresh: Challenge | undefined
      await changesNothing(async () => {
        const [challenge] = await quote(onToy)
        const forged = await bench.alice.pay(challenge!, { signature: 'A'.repeat(43) })
        const got = await send(withCredential(onToy, forged))
        fresh = expectRefusal(got, 'verification-failed')
        expect(got.text).not.toContain('paid"')
        expect(fresh.id).not.toBe(challenge!.id)
      })
      expectPaid(await send(withCredential(onToy, await bench.alice.pay(fresh!))))
    },
  )

  ask(
    'underpaid',
    ['CHG-029', 'CORE-108'],
    'a proof over less, or over another currency, is refused',
    async () => {
      await changesNothing(async () => {
        const [challenge] = await quote(onToy)
        for (const forgery of [{ amount: '99' }, { amount: '0' }, { currency: 'eur' }]) {
          expectRefusal(
            await send(withCredential(onToy, await bench.alice.pay(challenge!, forgery))),
            'verification-failed',
            'payment-insufficient',
          )
        }
      })
    },
  )

  ask('misdirected', ['CHG-030'], 'a proof that pays someone else is refused', async () => {
    await changesNothing(async () => {
      const [challenge] = await quote(onToy)
      expectRefusal(
        await send(withCredential(onToy, await bench.alice.pay(challenge!, { recipient: 'thief' }))),
        'verification-failed',
      )
    })
  })

  ask('insufficient', ['CORE-108', 'CHG-029'], 'a payer without money is told so', async () => {
    const poor = toyWallet({ ledger, account: 'poor' })
    const [challenge] = await quote(onToy)
    expectRefusal(await send(withCredential(onToy, await poor.pay(challenge!))), 'payment-insufficient')
  })

  for (const [key, how, spellings] of [
    ['several', 'in one line', (one: string, two: string) => [[`${one}, ${two}`], [`${one}, ${one}`]]],
    [
      'several-lines',
      'in two lines',
      (one: string, two: string) => [
        [one, two],
        [one, one],
      ],
    ],
  ] as const)
    ask(
      key,
      ['CORE-075', 'CORE-164', 'CORE-009'],
      `two credentials in one request, ${how}, are refused with 400, and neither is used up`,
      async () => {
        const [one, two] = [await credential(content), await credential(content)]
        await changesNothing(async () => {
          for (const values of spellings(one, two)) {
            const got = await send({
              target: content.target,
              headers: values.map((value) => ['Authorization', value] as const),
            })
            expect([got.status, got.get('payment-receipt')]).toEqual([400, null])
            expect(got.get('content-type')).toMatch(/^application\/problem\+json/)
          }
        })
        expectPaid(await send(withCredential(content, one)))
        expectPaid(await send(withCredential(content, two)))
      },
    )

  const logins = ['Bearer abc.def', 'Basic YTpi', 'Digest username="a, Payment b", uri="/", response="x"']
  for (const [key, how, spellings] of [
    [
      'with-login',
      'in one line',
      (login: string, paid: string) => [[`${login}, ${paid}`], [`${paid}, ${login}`]],
    ],
    [
      'with-login-lines',
      'in two lines',
      (login: string, paid: string) => [
        [login, paid],
        [paid, login],
      ],
    ],
  ] as const)
    ask(
      key,
      ['CORE-001', 'CORE-075'],
      `a login beside the credential, before or behind it ${how}, takes nothing from it`,
      async () => {
        for (const login of logins) {
          for (const at of [0, 1]) {
            const values = spellings(login, await credential(content))[at]!
            const got = await send({
              target: content.target,
              headers: values.map((value) => ['Authorization', value] as const),
            })
            expect([login, at, got.status]).toEqual([login, at, 200])
            expectPaid(got)
          }
          expectRefusal(await send(withCredential(content, login)), 'payment-required')
        }
      },
    )

  ask('large', ['CORE-120'], 'a credential of 4 KB and more is taken', async () => {
    for (const size of [4096, 7000]) {
      const good = untoken(await credential(content))
      expectPaid(await insist(withCredential(content, token({ ...good, padding: 'x'.repeat(size) }))))
    }
  })

  ask('huge', ['CORE-139'], 'a credential of 5 MB is turned away, and the server lives', async () => {
    const answer = await send(withCredential(content, `Payment ${'A'.repeat(5_000_000)}`)).then(
      (got) => got.status,
      () => 'cut off',
    )
    expect([400, 402, 413, 431, 'cut off']).toContain(answer)
    expect((await send(content)).status).toBe(402)
  })
}
