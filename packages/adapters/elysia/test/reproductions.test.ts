import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'

const folder = `${import.meta.dirname}/reproductions`

// When one of these fails, the framework has changed: mend the adapter, its README, or an expected failure.
test.each(readdirSync(folder))('the framework still does this: %s', async (name) => {
  await expect(import(`${folder}/${name}`)).resolves.toBeDefined()
})
