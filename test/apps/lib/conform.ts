import { expect, test } from 'vitest'
import type { App } from '../../../apps/lib/run.ts'
import { askApp, type Asked } from './apps.ts'

/** Asks an app everything that `mppkit conform` asks; what is known to fail must. */
export function testConform(app: () => App, asked: Asked): void {
  test('it conforms, but for what is known', { timeout: 60_000 }, async () => {
    const verdicts = await askApp(app(), asked)
    const failed = verdicts.filter(({ outcome }) => outcome === 'failed')
    expect(failed.filter(({ id }) => !(id in asked.known))).toEqual([])
    expect(failed.map(({ id }) => id).toSorted()).toEqual(Object.keys(asked.known).toSorted())
    expect(verdicts.filter(({ outcome }) => outcome === 'passed').length).toBeGreaterThan(75)
  })
}
