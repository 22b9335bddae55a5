import { expect, test } from 'vitest'
import { sideTable } from '../src/lib/side-table.ts'

test('a side table keeps one value beside each object, in nobody’s sight', () => {
  const table = sideTable<object, string>()
  const other = sideTable<object, string>()
  const object = {}
  expect(table.get(object)).toBeUndefined()
  table.set(object, 'first')
  table.set(object, 'second')
  expect([table.get(object), other.get(object)]).toEqual(['second', undefined])
  expect(Reflect.ownKeys(object)).toEqual([])
  expect(table.get({ ...object })).toBeUndefined()
  table.set(object, undefined)
  expect(table.get(object)).toBeUndefined()
  table.set(object, 'third')
  expect(table.get(object)).toBe('third')
})

test('a side table takes what others have frozen, and knows a proxy from its target', () => {
  const table = sideTable<object, number>()
  const frozen = Object.freeze(new Request('http://localhost/'))
  table.set(frozen, 1)
  const proxy = new Proxy(frozen, {})
  expect([table.get(frozen), table.get(proxy)]).toEqual([1, undefined])
  table.set(proxy, 2)
  expect([table.get(frozen), table.get(proxy)]).toEqual([1, 2])
})
