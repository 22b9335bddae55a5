import { fork } from 'node:child_process'
import { expect, test } from 'vitest'
import type { Entry } from '@mppkit/core'
import { createStores, query } from './lib/clients.ts'
import { describeWithServer, kinds } from './lib/server.ts'

const slow = { timeout: 120_000 }

describeWithServer('processes on one database', (server) => {
  for (const kind of kinds) {
    const name = kind.replace('.', '')

    test(`8 processes × 50 swaps on one key and one queue lose nothing, through ${kind}`, slow, async () => {
      const stores = createStores()
      const store = stores.open(kind, server().url, { table: `race_${name}` })
      await store.migrate()
      await together(8, [kind, server().url, `race_${name}`, 'race'])

      expect((await store.get('count'))?.value).toBe('400')
      const seen = new Set<string>()
      for (let after: Entry | undefined; ;) {
        const page = await store.due('q', 64, after)
        for (const { key } of page) {
          expect(seen).not.toContain(key)
          seen.add(key)
        }
        if (page.length < 64) break
        after = page.at(-1)
      }
      expect(seen.size).toBe(401)
      await stores.close()
    })

    test(`8 processes that migrate at once all succeed, through ${kind}`, slow, async () => {
      for (let round = 0; round < 2; round += 1) {
        await together(8, [kind, server().url, `made_${name}_${round}`, 'migrate'])
        expect(await query(server().url, `SELECT count(*)::int AS rows FROM made_${name}_${round}`)).toEqual([
          { rows: 0 },
        ])
      }
    })
  }
})

/** Runs so many workers, all at once; rejects when one of them fails. */
async function together(count: number, args: string[]): Promise<void> {
  const children = Array.from({ length: count }, (_, index) =>
    fork(new URL('./lib/worker.ts', import.meta.url), [...args, `${index}`], { execArgv: [] }),
  )
  let waiting = count
  try {
    await Promise.all(
      children.map(
        (child) =>
          new Promise<void>((resolve, reject) => {
            child.on('message', () => {
              waiting -= 1
              if (waiting === 0) for (const one of children) one.send('go')
            })
            child.once('error', reject)
            child.once('exit', (code) =>
              code === 0 ? resolve() : reject(new Error(`a worker ended with ${code}`)),
            )
          }),
      ),
    )
  } finally {
    for (const child of children) child.kill('SIGKILL')
  }
}
