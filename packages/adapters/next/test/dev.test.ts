import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { copy } from './build.ts'
import { start } from './running.ts'
import { shopperAt } from './shopper.ts'

const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8')
const [, example = ''] = /```ts\n([^]*?)```/.exec(readme) ?? []
const [, path = ''] = /^\/\/ (\S+)/.exec(example) ?? []

test('next dev: the example of the README works as it stands, and a hot reload forgets no payment', async () => {
  const folder = copy('shop', { [path.replace('photos', 'pasted')]: example }, 'dev')
  const server = await start('dev', folder)
  try {
    const shop = shopperAt(server.url)
    const pasted = await shop.quote('/pasted/7?size=2')
    expect([path, pasted.realm, pasted.method]).toEqual([
      'app/photos/[id]/route.ts',
      'photos.example',
      'tempo',
    ])

    const paid = await shop.paidFor('/photos/7')
    const unused = await shop.paidFor('/photos/8')
    expect((await shop.send(paid)).json()).toMatchObject({ VERSION: 'first', attempt: 1 })
    expect((await shop.insist(paid)).status).toBe(402)

    for (const file of ['app/photos/[id]/route.ts', 'lib/mpp.ts']) {
      const text = readFileSync(join(folder, file), 'utf8').replace("'first'", "'second'")
      writeFileSync(join(folder, file), `${text}\nconsole.log('evaluated ${file}')\n`)
    }
    for (let tries = 0; tries < 100; tries += 1) {
      if (
        (await shop.buy('/photos/9')).json().VERSION === 'second' &&
        server.output().includes('evaluated lib')
      )
        break
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    expect(server.output()).toContain('evaluated lib/mpp.ts')
    expect((await shop.insist(paid)).status).toBe(402)
    expect((await shop.send(unused)).json()).toMatchObject({ VERSION: 'second', id: '8' })
  } finally {
    await server.stop()
  }
}, 60_000)
