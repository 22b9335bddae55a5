import fc from 'fast-check'
import { createHash } from 'node:crypto'
import { describe, expect, test, vi } from 'vitest'
import { computeDigest, isDigest, verifyDigest } from '../src/index.ts'

const BODY = new TextEncoder().encode('{"hello": "world"}')
const SHA256 = 'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:'
const SHA512 =
  'sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:'

describe('digests', () => {
  test('are those of the platform, and verify [CORE-046, CORE-064, CORE-065]', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array(), fc.constantFrom('sha-256', 'sha-512'), async (body, algorithm) => {
        const digest = await computeDigest(body, algorithm)
        const hash = createHash(algorithm.replace('-', '')).update(body).digest('base64')
        expect(digest).toBe(`${algorithm}=:${hash}:`)
        expect(isDigest(digest)).toBe(true)
        expect(await verifyDigest(digest, body)).toBe(true)
        expect(await verifyDigest(digest, Uint8Array.of(...body, 0))).toBe(false)
      }),
    )
  })

  test('need a known algorithm, and all known ones must match [CORE-066]', async () => {
    expect(await verifyDigest(`${SHA256}, ${SHA512}`, BODY)).toBe(true)
    expect(await verifyDigest(`${SHA256},\t${SHA512.replace('WZ', 'AZ')}`, BODY)).toBe(false)
    expect(await verifyDigest(`foo=:AAAA:, ${SHA256}`, BODY)).toBe(true)
    expect(await verifyDigest('foo=:AAAA:', BODY)).toBe(false)
    expect(isDigest('foo=:AAAA:')).toBe(true)
  })

  test.each([
    [''],
    ['sha-256'],
    ['sha-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE='],
    ['SHA-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:'],
    ['sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE:'],
    ['sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPF=:'],
    ['sha-256=::'],
    ['sha-256=:AAAA:'],
    [`${SHA256},`],
    [`,${SHA256}`],
    [`${SHA256}, ${SHA256}`],
    [`${SHA256};a="|"`],
    [`${SHA256} sha-512=:AAAA:`],
    ['sha-256 =:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:'],
    [`\u00a0${SHA256}`],
    [`${SHA256}\n`],
    ['foo=1'],
  ])('refuses %j [CORE-046]', async (value) => {
    expect(isDigest(value)).toBe(false)
    expect(await verifyDigest(value, BODY)).toBe(false)
  })

  test('come from WebCrypto where there is no node:crypto', async () => {
    vi.resetModules()
    vi.doMock('../src/lib/runtime.ts', () => ({ nodeCrypto: undefined }))
    const portable = await import('../src/lib/digest.ts')
    vi.doUnmock('../src/lib/runtime.ts')
    expect(portable.computeDigest(BODY)).toBeInstanceOf(Promise)
    expect(await portable.computeDigest(BODY)).toBe(SHA256)
    expect(await portable.computeDigest(BODY, 'sha-512')).toBe(SHA512)
    expect(await portable.verifyDigest(SHA512, BODY)).toBe(true)
  })
})
