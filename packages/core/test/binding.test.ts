import fc from 'fast-check'
import { createHmac } from 'node:crypto'
import { describe, expect, test, vi } from 'vitest'
import {
  bindingInput,
  createBinding,
  encodeBase64url,
  formatChallenge,
  formatCredential,
  parseChallenges,
  parseCredential,
  readAuthorization,
  type Binding,
  type Challenge,
} from '../src/index.ts'
import { challenge, REQUEST, SECRET } from './samples.ts'

const OTHER = 'another secret, of at least 32 bytes'

vi.doMock('../src/lib/runtime.ts', () => ({ nodeCrypto: undefined }))
vi.resetModules()
const portable = await import('../src/lib/binding.ts')
vi.doUnmock('../src/lib/runtime.ts')

async function bind(binding: Binding, unbound: Challenge): Promise<Challenge> {
  return { ...unbound, id: await binding.sign(bindingInput(unbound)) }
}

const BOUND_SLOTS = ['realm', 'method', 'intent', 'request', 'expires', 'digest', 'opaque'] as const
const FULL: Challenge = {
  id: '',
  realm: 'api.example.com',
  method: 'tempo',
  intent: 'charge',
  request: REQUEST,
  expires: '2030-01-15T12:05:00Z',
  digest: 'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:',
  opaque: encodeBase64url('{"n":"1"}'),
  description: 'd',
}

describe.each([
  ['node:crypto', createBinding],
  ['WebCrypto', portable.createBinding],
])('a binding by %s', (name, create) => {
  const binding = create([SECRET])

  test('is HMAC-SHA256 of seven slots [CORE-061, CORE-062, CORE-063]', async () => {
    await fc.assert(
      fc.asyncProperty(challenge, async (unbound) => {
        const input = bindingInput(unbound)
        expect(input.split('|')).toHaveLength(7)
        const id = binding.sign(input)
        expect(typeof id === 'string').toBe(name === 'node:crypto')
        expect(await id).toBe(createHmac('sha256', SECRET).update(input).digest('base64url'))
        expect(await binding.verify({ ...unbound, id: await id })).toBe(true)
      }),
    )
  })

  test('breaks with each slot, not with what is unbound [CORE-035, CORE-052, CORE-056, CORE-059]', async () => {
    const bound = await bind(binding, FULL)
    expect(await binding.verify({ ...bound, description: 'free', header: 'X' })).toBe(true)
    for (const slot of BOUND_SLOTS) {
      const { [slot]: value, ...rest } = bound
      expect(await binding.verify(rest as Challenge)).toBe(false)
      expect(await binding.verify({ ...bound, [slot]: `${value}x` })).toBe(false)
      expect(await binding.verify({ ...bound, [slot]: '' })).toBe(false)
    }
    for (const id of ['', bound.id.slice(1), `${bound.id}=`, bound.id.toLowerCase(), `${bound.id}\0`]) {
      expect(await binding.verify({ ...bound, id })).toBe(false)
    }
  })

  test('no separator gets through, whatever the hash says [CORE-059]', async () => {
    for (const slot of BOUND_SLOTS) {
      const shifted = await bind(binding, { ...FULL, [slot]: `a|${FULL[slot]}` })
      expect(await binding.verify(shifted)).toBe(false)
    }
    const { expires, digest, opaque, description, ...bare } = FULL
    expect([expires, digest, opaque, description]).not.toContain(undefined)
    for (const slot of ['expires', 'digest', 'opaque'] as const) {
      // An empty slot hashes like an absent one.
      expect(await binding.verify(await bind(binding, { ...bare, [slot]: '' }))).toBe(false)
    }
    expect(await binding.verify(await bind(binding, { ...bare, realm: '\ud800' }))).toBe(false)
  })

  test('the first secret signs, all verify [CORE-135]', async () => {
    const old = await bind(binding, FULL)
    const rotated = create([OTHER, SECRET])
    const fresh = await bind(rotated, FULL)
    expect(fresh.id).toBe(await create([OTHER]).sign(bindingInput(FULL)))
    expect(await rotated.verify(old)).toBe(true)
    expect(await rotated.verify(fresh)).toBe(true)
    expect(await rotated.verify({ ...fresh, realm: 'x' })).toBe(false)
    expect(await binding.verify(fresh)).toBe(false)
    expect(await create([OTHER, `${OTHER}!`]).verify(old)).toBe(false)
  })

  test.each([[[]], [['short']], [[SECRET, 'é'.repeat(15)]], [[undefined]], [[`\ud800${SECRET}`]], [SECRET]])(
    'refuses the secrets %j with a remedy and without printing them [CORE-134]',
    (secrets) => {
      const attempt = () => create(secrets as string[])
      expect(attempt).toThrow(TypeError)
      expect(attempt).toThrow('openssl rand -base64 32')
      expect(attempt).not.toThrow(/short|thirty-two/)
    },
  )
})

describe('mutations', () => {
  const binding = createBinding([SECRET])

  test('of a challenge on the wire never give another accepted binding [CORE-035, CORE-058]', async () => {
    await fc.assert(
      fc.asyncProperty(
        challenge,
        fc.nat(),
        fc.constantFrom('', 'a', '|', '"', '\\', '=', ',', ' '),
        async (unbound, at, by) => {
          const bound = await bind(binding, unbound)
          const line = formatChallenge(bound)
          const start = at % line.length
          for (const changed of [
            line.slice(0, start) + by + line.slice(start),
            line.slice(0, start) + by + line.slice(start + 1),
          ]) {
            for (const found of parseChallenges(changed).challenges) {
              expect((await binding.verify(found)) && bindingInput(found) !== bindingInput(bound)).toBe(false)
            }
          }
        },
      ),
      { numRuns: 500 },
    )
  })

  test('of a credential token never give another accepted binding [CORE-059]', async () => {
    await fc.assert(
      fc.asyncProperty(challenge, fc.nat(), fc.constantFrom('', 'A', 'Q', '_'), async (unbound, at, by) => {
        const bound = await bind(binding, unbound)
        const [token] = readAuthorization(formatCredential({ challenge: bound, payload: {} })).tokens
        const start = at % token!.length
        const changed = token!.slice(0, start) + by + token!.slice(start + 1)
        let found: Challenge
        try {
          found = parseCredential(changed).challenge
        } catch {
          return
        }
        expect((await binding.verify(found)) && bindingInput(found) !== bindingInput(bound)).toBe(false)
      }),
      { numRuns: 500 },
    )
  })

  test('of single slots are never accepted', async () => {
    await fc.assert(
      fc.asyncProperty(
        challenge,
        challenge,
        fc.subarray([...BOUND_SLOTS], { minLength: 1 }),
        async (a, b, slots) => {
          const bound = await bind(binding, a)
          const mixed = { ...bound }
          for (const slot of slots) {
            if (b[slot] === undefined) delete mixed[slot as 'expires']
            else mixed[slot] = b[slot]
          }
          expect(await binding.verify(mixed)).toBe(bindingInput(mixed) === bindingInput(bound))
        },
      ),
    )
  })
})

test('RFC 2104: two hashes give what an HMAC gives, for keys up to and beyond a block and for long inputs', () => {
  for (const size of [32, 63, 64, 65, 200]) {
    const secret = 'kä'.repeat(size).slice(0, size)
    const binding = createBinding([secret])
    for (const count of [0, 1, 100, 300, 5000]) {
      const input = 'mé|x'.repeat(count)
      expect(binding.sign(input)).toBe(createHmac('sha256', secret).update(input).digest('base64url'))
    }
  }
})
