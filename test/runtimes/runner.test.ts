import { afterEach, expect, test } from 'vitest'
import * as runner from './lib/runner.ts'

afterEach(() => runner.collect(() => {}))

const outcomes = async (options?: runner.RunOptions): Promise<[string, string][]> =>
  (await runner.run(options)).map(({ title, outcome }) => [title, outcome])

test('tells what became of each test', async () => {
  const hooks: string[] = []
  runner.collect(() => {
    runner.describe('outer', () => {
      runner.beforeAll(() => hooks.push('all'))
      runner.beforeEach(() => hooks.push('each'))
      runner.afterEach(() => hooks.push('after'))
      runner.afterAll(() => hooks.push('end'))
      runner.describe('inner', () => {
        runner.test('CORE-001 CHG-024 good [good-one]', () =>
          runner.expect([1]).toEqual([runner.expect.any(Number)]),
        )
        runner.test('bad', { timeout: 1000 }, () => runner.expect(1, 'one').toBe(2))
        runner.test.fails('known [x] (known: why)', () => Promise.reject(new Error('as known')))
        runner.test.fails('mended', () => {})
        runner.test('slow', () => new Promise(() => {}), 20)
        runner.test('left out', ({ skip }) => skip('no reason'))
      })
    })
  })
  const results = await runner.run()
  expect(results.map(({ title, outcome }) => [title.split(' ').at(-1), outcome])).toEqual([
    ['[good-one]', 'passed'],
    ['bad', 'failed'],
    ['why)', 'expected-failure'],
    ['mended', 'failed'],
    ['slow', 'failed'],
    ['out', 'skipped'],
  ])
  expect(results[0]).toMatchObject({
    ids: ['CORE-001', 'CHG-024'],
    key: 'good-one',
    suites: ['outer', 'inner'],
  })
  expect([results[1]?.reason, results[2]?.key, results[4]?.reason, results[5]?.reason]).toEqual([
    expect.stringContaining('expected 1 to be 2'),
    'x',
    expect.stringContaining('20 ms'),
    'no reason',
  ])
  expect([hooks.at(0), hooks.at(-1), hooks.filter((hook) => hook === 'after')]).toEqual([
    'all',
    'end',
    Array(6).fill('after'),
  ])
})

test('a hook that fails fails every test behind it, and a hook at the end is not lost', async () => {
  runner.collect(() => {
    runner.describe('a', () => {
      runner.beforeAll(() => {
        throw new Error('no server')
      })
      runner.test('one', () => {})
      runner.describe('b', () => runner.test('two', () => {}))
    })
    runner.describe('c', () => {
      runner.afterAll(() => Promise.reject(new Error('still open')))
      runner.test('three', () => {})
    })
  })
  expect(await outcomes()).toEqual([
    ['one', 'failed'],
    ['two', 'failed'],
    ['three', 'passed'],
    ['afterAll', 'failed'],
  ])
})

test('runs again, in part, and only to the first failure', async () => {
  let runs = 0
  const told: string[] = []
  runner.collect(() => {
    runner.describe('unwanted', () => {
      runner.beforeAll(() => {
        runs += 100
      })
      runner.test('three', () => {})
    })
    runner.test('one', () => {
      runs += 1
    })
    runner.test('two', () => Promise.reject(new Error('no')))
    runner.test('four', () => {})
  })
  const only = (title: string, suites: readonly string[]): boolean => suites.length === 0 && title !== 'four'
  expect(await outcomes({ only, onResult: ({ title }) => void told.push(title) })).toEqual([
    ['one', 'passed'],
    ['two', 'failed'],
  ])
  expect([runs, told]).toEqual([1, ['one', 'two']])
  expect(await outcomes({ bail: true })).toEqual(
    [
      ['one', 'passed'],
      ['two', 'failed'],
    ].toSpliced(0, 0, ['three', 'passed']),
  )
})

test('counts assertions for each test anew', async () => {
  const counts: number[] = []
  runner.collect(() => {
    for (const times of [2, 0])
      runner.test(String(times), () => {
        for (let time = 0; time < times; time++) runner.expect(time).toBe(time)
        counts.push(runner.expect.getState().assertionCalls)
      })
  })
  await runner.run()
  expect(counts).toEqual([2, 0])
})
