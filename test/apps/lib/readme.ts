import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { freePort, root, shell, start } from './processes.ts'

const ASKED = /^HTTP\/1.1 402 [^]*www-authenticate: Payment /im

/** Does what an example's README says, in processes of their own: starts it, asks for its price, buys, and ends it. */
export function testReadme(name: string, paths: readonly string[] = []): void {
  describe(`README of apps/${name}`, { timeout: 60_000 }, () => {
    const text = readFileSync(join(root, 'apps', name, 'README.md'), 'utf8')
    const [command = '', ask = '', buy = ''] = commandsOf(text)

    test('its commands work as they stand', async () => {
      expect(command).toBe(`npm start --prefix apps/${name}`)
      const port = await freePort()
      const at = (line: string): string => line.replace('127.0.0.1:3000', `127.0.0.1:${port}`)
      const seller = await start('sh', ['-c', `${command} -- --port ${port}`], { ready: 'npm run buy' })
      try {
        expect(await shell(at(ask))).toMatch(ASKED)
        const bought = await shell(at(buy))
        expect(bought).toMatch(/^20[01] /m)
        expect(bought).toContain("status: 'success'")
      } finally {
        await seller.stop()
      }
    })

    test('so do they on a local Tempo chain, and SIGTERM ends it', async () => {
      const port = await freePort()
      const args = [`apps/${name}/main.ts`, '--rail', 'tempo', '--port', String(port)]
      const seller = await start(process.execPath, args, { ready: 'npm run buy' })
      try {
        // The buyer must be told where the chain is: the seller prints the whole line.
        const line = /^npm run buy --prefix \S+ -- (.*)$/m.exec(seller.output())![1]!
        for (const path of [undefined, ...paths]) {
          const other = path === undefined ? line : line.replace(/(127\.0\.0\.1:\d+)\/[^']*'/, `$1${path}'`)
          const bought = await shell(`${process.execPath} apps/lib/buy.ts ${other}`)
          expect(bought).toMatch(/^20[01] /m)
          expect(bought).toMatch(/method: 'tempo'[^]*reference: '0x/)
        }
      } finally {
        expect(await seller.stop()).toBe(0)
      }
    })

    test('it is short', () => {
      expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(25)
    })
  })
}

function commandsOf(text: string): string[] {
  return [...text.matchAll(/```sh\n([^]*?)```/g)].flatMap(([, block = '']) => block.trim().split('\n'))
}
