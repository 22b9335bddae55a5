import { readFile } from 'node:fs/promises'
import { createBinding, parseCredential, readAuthorization } from '@mppkit/core'
import { describe, expect, test } from 'vitest'
import { runVectors, type Vector } from '../src/vectors.ts'

const text = await readFile(new URL('../vectors/core.json', import.meta.url), 'utf8')
const vectors = JSON.parse(text) as Vector[]
const results = await runVectors(vectors)

describe('test vectors', () => {
  const titled = results.map((result, index) => {
    const { why, req } = vectors[index]!.expected
    return { ...result, title: `${why} [${req.join(', ')}]` }
  })

  test.each(titled)('$id ($kind): $title', ({ pass, reason }) => {
    expect(reason ?? pass).toBe(true)
  })

  test('none is left out', () => {
    expect(results).toHaveLength(355)
    expect(results.filter(({ pass }) => pass === 'skipped')).toEqual([])
  })
})

describe('credentials of the vectors under their secret [CORE-059, CORE-061]', () => {
  const binding = createBinding(['mpp-conformance-secret-S1-0123456789abcdef'])

  test.each([
    ['V-CR-01', true],
    ['V-CR-06', true],
    ['V-CR-09', true],
    ['V-CR-10', false],
    ['V-CR-14', true],
    ['V-CR-15', true],
    ['M-CR-69', false],
    ['M-CR-73', true],
    ['M-CR-75', true],
  ])('%s: %s', async (id, bound) => {
    const [line] = vectors.find((vector) => vector.id === id)!.input.fieldLines as string[]
    const [token] = readAuthorization(line!).tokens
    expect(await binding.verify(parseCredential(token!).challenge)).toBe(bound)
  })
})

describe('the runner', () => {
  test('tells a wrong expectation, an unknown kind and an unknown recipe', async () => {
    const outcome = await runVectors([
      { id: 'A', kind: 'subscription-id', input: { subscriptionId: 'a' }, expected: { ok: false } },
      { id: 'B', kind: 'of-tomorrow', input: {}, expected: {} },
      { id: 'C', kind: 'challenge-parse', input: { recipe: 'something long' }, expected: { accept: [] } },
      { id: 'D', kind: 'hmac-binding', input: {}, expected: {} },
    ])
    expect(outcome.map(({ pass }) => pass)).toEqual([false, 'skipped', 'skipped', false])
  })
})
