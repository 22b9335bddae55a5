import { expect, test } from 'vitest'
import { LateResponse } from '../src/lib/late-response.ts'

test('a late response is a Response in all that can be read of it, and is made once', async () => {
  let made = 0
  const make = () => {
    made++
    return new Response('pay first', { status: 402, statusText: 'Pay', headers: { 'x-own': 'yes' } })
  }
  const late = new LateResponse(402, make)
  expect(late).toBeInstanceOf(Response)
  expect([late.status, made]).toEqual([402, 0])
  const whole = make()
  // Whatever a Response has, so that no getter of it is asked that knows only Responses of its own making.
  for (const name of Object.getOwnPropertyNames(Response.prototype) as (keyof Response)[]) {
    expect(Object.hasOwn(LateResponse.prototype, name) || Object.hasOwn(late, name), name).toBe(true)
    if (typeof whole[name] !== 'object') expect(typeof late[name], name).toBe(typeof whole[name])
  }
  expect([late.ok, late.statusText, late.type, late.url, late.redirected, late.bodyUsed]).toEqual([
    false,
    'Pay',
    'default',
    '',
    false,
    false,
  ])
  expect(late.headers.get('x-own')).toBe('yes')
  const wrapped = new Response(late.clone().body, late)
  expect([wrapped.status, wrapped.headers.get('x-own'), await wrapped.text()]).toEqual([
    402,
    'yes',
    'pay first',
  ])
  expect(await late.text()).toBe('pay first')
  expect([late.bodyUsed, made]).toEqual([true, 2])
})
