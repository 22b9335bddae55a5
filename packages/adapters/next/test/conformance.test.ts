import { expect, test } from 'vitest'
import { testAdapter } from '../../../testing/src/lib/test-adapter.ts'
import { build } from './build.ts'
import { expectedFailures } from './expected-failures.ts'
import { serve } from './serve.ts'

// Here, because a hook would be given less time.
await build('suite')

testAdapter('next', serve, { expectedFailures })

// Each asserts, without mppkit, what Next does; `node test/reproductions/targets.ts` once the tests have built the app.
test.each(Object.keys(expectedFailures))('reproduction of %s', async (key) => {
  await expect(import(`./reproductions/${key}.ts`)).resolves.toBeDefined()
})
