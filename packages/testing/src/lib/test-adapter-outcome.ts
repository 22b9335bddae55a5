import type { Reply } from './adapter-app.ts'
import { expect } from 'vitest'
import { expectPaid, expectRefusal, withCredential, type Bench } from './test-adapter-bench.ts'

/** Which answers are a delivery, and what every kind of answer keeps of its own. */
export function outcomeQuestions(bench: Bench): void {
  const { ask, credential, insist, ledger, pay, route, send, toyGates } = bench
  const options = { with: toyGates }
  const answering = (status: number, headers: [string, string][] = []): Reply => ({
    kind: 'text',
    body: `this is ${String(status)}`,
    status,
    headers,
  })

  const delivering = [
    ...[200, 201, 202, 203, 206, 226].map((status) => [status, answering(status)] as const),
    [204, { kind: 'empty', status: 204 }] as const,
    ...[302, 303, 307].map((status) => [status, answering(status, [['location', '/elsewhere']])] as const),
  ].map(([status, reply]) => [status, route(`/outcome/${String(status)}`, reply, options)] as const)
  ask(
    'delivering',
    ['CORE-005', 'CORE-007', 'CORE-076', 'CORE-080', 'CHG-037'],
    'every 2xx, and every redirect that is itself the answer, is a delivery: the credential is spent',
    async () => {
      for (const [status, asked] of delivering) {
        const paid = await credential(asked)
        const got = await send(withCredential(asked, paid))
        expect(got.status).toBe(status)
        if (status < 300) expectPaid(got)
        else
          expect([status, got.get('payment-receipt'), got.get('location')]).toEqual([
            status,
            null,
            '/elsewhere',
          ])
        expectRefusal(await insist(withCredential(asked, paid)), 'invalid-challenge')
        expect([status, asked.starts]).toEqual([status, 1])
      }
    },
  )

  const failing = [
    ...[400, 401, 403, 404, 409, 412, 416, 422, 429, 500, 503].map(
      (status) => [status, answering(status)] as const,
    ),
    ...[301, 308].map((status) => [status, answering(status, [['location', '/elsewhere']])] as const),
    [304, { kind: 'empty', status: 304 }] as const,
  ].map(([status, reply]) => [status, route(`/outcome/${String(status)}`, reply, options)] as const)
  ask(
    'failing',
    ['CORE-080', 'CORE-081', 'CORE-143', 'CHG-037'],
    'nothing else is: it carries no receipt, is not stored, and the credential may be sent again, three times in all',
    async () => {
      for (const [status, asked] of failing) {
        const paid = await credential(asked)
        const moved = (await ledger.transfers()).length
        for (let attempt = 1; attempt <= 3; attempt += 1) {
          // Not `insist`: the handler's own 409 and 503 have no Retry-After.
          const got = await insist(withCredential(asked, paid))
          expect([status, got.status, got.get('payment-receipt')]).toEqual([status, status, null])
          expect([status, got.get('cache-control')]).toEqual([status, expect.stringMatching(/no-store/)])
          if (status !== 304) expect(got.text).toBe(`this is ${String(status)}`)
          expect([status, asked.starts]).toEqual([status, attempt])
        }
        const over = await insist(withCredential(asked, paid))
        expect([status, over.status, over.get('retry-after'), over.get('www-authenticate')]).toEqual([
          status,
          409,
          null,
          null,
        ])
        expect([status, asked.starts, (await ledger.transfers()).length - moved]).toEqual([status, 3, 1])
      }
    },
  )

  const partial = route(
    '/outcome/partial',
    answering(206, [
      ['content-range', 'bytes 0-10/100'],
      ['accept-ranges', 'bytes'],
    ]),
    options,
  )
  ask(
    'range',
    ['CORE-007', 'CORE-076'],
    'a part of something is a delivery as well, with a receipt',
    async () => {
      const got = await pay({ target: partial.target, headers: [['Range', 'bytes=0-10']] })
      expectPaid(got)
      expect([got.status, got.get('content-range'), got.get('accept-ranges')]).toEqual([
        206,
        'bytes 0-10/100',
        'bytes',
      ])
    },
  )

  const login = route(
    '/outcome/login',
    {
      kind: 'json',
      body: { error: 'who are you?' },
      status: 401,
      headers: [
        ['www-authenticate', 'Basic realm="members"'],
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
        ['x-own', 'yes'],
      ],
    },
    options,
  )
  ask(
    'own-login',
    ['CORE-008', 'CORE-011', 'CORE-081'],
    'a handler that asks for another login after payment is heard, with all that it sets',
    async () => {
      const got = await pay(login)
      expect([got.status, got.all('www-authenticate'), got.get('payment-receipt')]).toEqual([
        401,
        ['Basic realm="members"'],
        null,
      ])
      expect([got.all('set-cookie'), got.get('x-own'), got.json()]).toEqual([
        ['a=1', 'b=2'],
        'yes',
        { error: 'who are you?' },
      ])
    },
  )

  const forging = route(
    '/outcome/forging',
    {
      kind: 'text',
      body: 'content',
      headers: [
        ['payment-receipt', 'Zm9yZ2Vk'],
        ['cache-control', 'public'],
        ['cache-control', 'max-age=60'],
        ['etag', '"v1"'],
        ['vary', 'Accept'],
        ['vary', 'Accept-Language'],
      ],
    },
    options,
  )
  ask(
    'own-receipt',
    ['CORE-077', 'CORE-156'],
    'there is one receipt and one rule for caches on an answer, whatever the handler has set; the rest stays',
    async () => {
      const got = await pay(forging)
      expect(expectPaid(got).reference).not.toBe('')
      expect(got.all('payment-receipt')).toHaveLength(1)
      expect(got.all('cache-control')).toEqual(['private'])
      expect([got.get('etag'), got.get('vary')]).toEqual([
        '"v1"',
        expect.stringMatching(/Accept\b.*Accept-Language/),
      ])
    },
  )

  const unsendable = route(
    '/outcome/unsendable',
    { kind: 'json', body: {}, headers: [['x-own', 'one\ntwo']] },
    options,
  )
  ask(
    'unsendable',
    ['CORE-080', 'CORE-081', 'CORE-143'],
    'an answer with a header that cannot be sent is an error, without a receipt; it has delivered nothing',
    async () => {
      const paid = await credential(unsendable)
      for (let attempt = 1; attempt <= 2; attempt += 1) {
        const got = await insist(withCredential(unsendable, paid))
        expect([got.status, got.get('payment-receipt'), unsendable.starts]).toEqual([500, null, attempt])
      }
    },
  )

  const identity = route('/outcome/identity', { kind: 'throw' }, { ...options, price: { amount: '0' } })
  ask(
    'zero-ends',
    ['CHG-009', 'CHG-037'],
    'a proof of identity that bought nothing but failures is over after three, and owes nobody anything',
    async () => {
      const paid = await credential(identity)
      const moved = (await ledger.transfers()).length
      for (let attempt = 1; attempt <= 3; attempt += 1)
        expect((await insist(withCredential(identity, paid))).status).toBe(500)
      expectRefusal(await insist(withCredential(identity, paid)), 'invalid-challenge')
      expect([identity.starts, (await ledger.transfers()).length]).toEqual([3, moved])
    },
  )

  const single = route(
    '/outcome/single',
    { kind: 'throw' },
    { ...options, price: { amount: '1', redeem: { attempts: 1 } } },
  )
  ask('redeem-once', ['CHG-037'], 'a price may allow a single start', async () => {
    const paid = await credential(single)
    expect((await send(withCredential(single, paid))).status).toBe(500)
    const got = await insist(withCredential(single, paid))
    expect([got.status, got.get('retry-after'), single.starts]).toEqual([409, null, 1])
  })
}
