import { execFile } from 'node:child_process'
import { createServer } from 'node:net'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { startTempo } from '../../../testing/src/anvil.ts'

const run = promisify(execFile)
const entry = (name: string) => new URL(`../src/${name}.ts`, import.meta.url).href

/** Runs code in a process of its own; every module that it loads is listed, and every socket that it opens fails it. */
async function modulesOf(code: string): Promise<string[]> {
  const script = `
    import { registerHooks } from 'node:module'
    import net from 'node:net'
    const loaded = []
    registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) })
    net.Socket.prototype.connect = () => { throw new Error('a connection') }
    globalThis.fetch = () => { throw new Error('a request') }
    ${code}
    process.stdout.write(JSON.stringify(loaded))
  `
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script])
  return JSON.parse(stdout) as string[]
}

const heavy = (urls: string[]) => urls.filter((url) => /node_modules/.test(url))
const recipient = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266'

describe('costs neither network nor a heavy module', () => {
  test('to load the seller’s side, to make a method and to quote', async () => {
    const loaded = await modulesOf(`
      const { tempo } = await import('${entry('server')}')
      const seller = tempo.charge({ recipient: '${recipient}', feePayer: { account: { address: '${recipient}', sign: async () => '0x' } } })
      seller.quote({ amount: '0.01' })
    `)
    expect(loaded.length).toBeGreaterThan(5)
    expect(heavy(loaded)).toEqual([])
  })

  test('to load the buyer’s side, to make a method and to judge a price', async () => {
    const loaded = await modulesOf(`
      const { tempo } = await import('${entry('client')}')
      const buyer = tempo.charge({ account: { address: '${recipient}', sign: async () => '0x' } })
      const request = { amount: '1', currency: '0x20c0000000000000000000000000000000000000', recipient: '${recipient}', methodDetails: { chainId: 4217 } }
      if (!buyer.supports({}, request) || buyer.cost({}, request).most.amount < 1n) throw new Error('no')
    `)
    expect(heavy(loaded)).toEqual([])
  })

  test('the heavy part is narrow', async () => {
    const loaded = await modulesOf(
      `await (await import('${new URL('../src/lib/heavy.ts', import.meta.url).href}')).heavy()`,
    )
    expect(heavy(loaded).filter((url) => /\/node_modules\/viem\//.test(url))).toEqual([])
  })
})

describe('the launcher', () => {
  test('starts a chain at T4 whose clock runs, funds accounts, and takes it down', async () => {
    const chain = await startTempo()
    expect(await chain.rpc('eth_chainId')).toBe('0x539')
    expect((await chain.rpc('anvil_nodeInfo')).hardFork).toMatch(/T4/i)
    expect(Math.abs((await chain.mine()) - Date.now() / 1000)).toBeLessThan(10)
    const someone = '0x1234567812345678123456781234567812345678'
    await Promise.all([
      chain.fund(someone, 5n),
      chain.fund(someone, 7n),
      chain.fund(someone, 9n, '0x20c0000000000000000000000000000000000001'),
    ])
    expect(await chain.balance(someone)).toBe(12n)
    expect(await chain.balance(someone, '0x20c0000000000000000000000000000000000001')).toBe(9n)
    await expect(chain.rpc('eth_nonsense')).rejects.toThrow(/Method not found/)
    for (const { address } of chain.accounts) expect(await chain.balance(address)).toBeGreaterThan(10n ** 18n)
    await chain.stop()
    await chain.stop()
    await expect(chain.rpc('eth_chainId')).rejects.toThrow()
  })

  test('does not mistake somebody else for its chain', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as { port: number }
    await expect(startTempo({ port })).rejects.toThrow(/EADDRINUSE/)
    await new Promise((resolve) => taken.close(resolve))
  })

  test.each(['process.exit(0)', 'process.kill(process.pid, "SIGTERM")'])(
    'takes the chain down with its process: %s',
    async (end) => {
      const launcher = new URL('../../../testing/src/anvil.ts', import.meta.url).href
      const script = `const { url } = await (await import('${launcher}')).startTempo(); console.log(url); setTimeout(() => ${end}, 100)`
      const ended = await run(process.execPath, ['--input-type=module', '-e', script]).catch(
        (error: { stdout: string }) => error,
      )
      const { stdout } = ended
      expect(stdout).toMatch(/^http/)
      await expect
        .poll(() =>
          fetch(stdout.trim()).then(
            () => 'up',
            () => 'down',
          ),
        )
        .toBe('down')
    },
  )
})
