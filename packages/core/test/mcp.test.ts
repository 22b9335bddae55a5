import { describe, expect, test } from 'vitest'
import { bindingInput, createBinding, readMcpCredential } from '../src/index.ts'

const binding = createBinding(['a secret of at least thirty-two bytes'])
const bound = { realm: 'r', method: 'tempo', intent: 'charge', expires: '2030-01-15T12:05:00Z' }
const request = 'eyJhbW91bnQiOiIxMDAwIiwiY3VycmVuY3kiOiJ1c2QifQ'
const challenge = {
  ...bound,
  id: await binding.sign(bindingInput({ ...bound, request })),
  request: { currency: 'usd', amount: '1000' },
}
const credential = { challenge, payload: {} }
const meta = (value: unknown) => ({ 'org.paymentauth/credential': value })

describe('readMcpCredential', () => {
  test('finds the credential in both places; the binding of HTTP fits [MCP-021, MCP-032, MCP-033]', async () => {
    for (const [placement, message] of [
      ['params', { id: 1, params: { _meta: meta(credential) } }],
      ['root', { id: null, params: [1], _meta: meta(credential) }],
      ['params', { id: 1, params: { _meta: meta(credential) }, _meta: meta({ payload: {}, challenge }) }],
    ] as const) {
      const reading = readMcpCredential(message)
      expect(reading).toMatchObject({ kind: 'credential', placement, credential: { challenge: { request } } })
      expect(reading.kind === 'credential' && (await binding.verify(reading.credential.challenge))).toBe(true)
    }
  })

  test('keeps source and optional members', () => {
    const full = {
      ...credential,
      source: 'did:x',
      challenge: { ...challenge, opaque: 'e30', description: '' },
    }
    expect(readMcpCredential({ id: 1, _meta: meta(full) })).toMatchObject({
      credential: { source: 'did:x', challenge: { opaque: 'e30', description: '' } },
    })
  })

  test('a message without an id cannot pay [MCP-063, MCP-064]', () => {
    expect(readMcpCredential({ params: { _meta: meta(credential) } })).toEqual({ kind: 'notification' })
  })

  test.each([[{ id: 1 }], [{ id: 1, params: {} }], [{ id: 1, params: { _meta: {} }, _meta: { x: 1 } }]])(
    '%o asks for payment [MCP-011, MCP-035]',
    (message) => {
      expect(readMcpCredential(message)).toEqual({ kind: 'absent' })
    },
  )

  test.each([
    [[]],
    [null],
    ['x'],
    [{ id: 1, _meta: 'x' }],
    [{ id: 1, _meta: meta(null) }],
    [{ id: 1, _meta: meta([credential]) }],
    [{ id: 1, _meta: meta({ challenge }) }],
    [{ id: 1, _meta: meta({ payload: {} }) }],
    [{ id: 1, _meta: meta({ ...credential, source: 1 }) }],
    [{ id: 1, _meta: meta({ ...credential, challenge: { ...challenge, id: '' } }) }],
    [{ id: 1, _meta: meta({ ...credential, challenge: { ...challenge, request } }) }],
    [{ id: 1, _meta: meta({ ...credential, challenge: { ...challenge, expires: null } }) }],
    [{ id: 1, params: { _meta: meta(credential) }, _meta: meta({ ...credential, payload: { a: 1 } }) }],
    [{ id: 1, _meta: meta({ ...credential, challenge: { ...challenge, request: { a: Number.NaN } } }) }],
  ])('%o is malformed [MCP-052, MCP-060]', (message) => {
    expect(readMcpCredential(message)).toMatchObject({ kind: 'malformed' })
  })
})
