import { spawnSync } from 'node:child_process'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { fileURLToPath } from 'node:url'
import { conform, type Report } from '@mppkit/testing/conform'
import { createToyLedger, toyWallet } from '@mppkit/testing/toy'
import { afterEach, describe, expect, test } from 'vitest'
import { openShop, type Shop } from './broken/toy-shop.ts'
import { told } from './told.ts'

let shop: Shop | undefined
afterEach(() => shop?.close())

describe('exit codes', () => {
  test('0: all is well, and it is said what was not asked', async () => {
    shop = await openShop()
    const { code, out, err } = await told(['conform', `${shop.url}/photo`])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain('0 failed, 0 warnings')
    expect(out).toMatch(/needs a payment: .*replay.*race/)
    expect(out).toContain('add --pay toy or --pay tempo')
  })

  test('1: a MUST is broken; the report cites the requirement and says how to mend it', async () => {
    shop = await openShop('cacheable')
    const { code, out } = await told(['conform', `${shop.url}/photo`, '--pay', 'toy'])
    expect(code).toBe(1)
    expect(out).toContain('FAILED   not-cached  [CORE-155, CORE-154]')
    expect(out).toContain('seen: Cache-Control is missing')
    expect(out).toContain('fix:  Send `Cache-Control: no-store` with every 402')
  })

  test('0: a SHOULD is broken, which is a warning', async () => {
    shop = await openShop('no-expires')
    const { code, out } = await told(['conform', `${shop.url}/photo`, '--pay', 'toy'])
    expect(code).toBe(0)
    expect(out).toContain('warning  expires-present  [CORE-050]')
    expect(out).toContain('0 failed, 1 warnings')
  })

  const key = `0x${'11'.repeat(32)}`
  const usage: [argv: string[], says: string, env?: Record<string, string>][] = [
    [['conform'], 'which URL?'],
    [['conform', 'localhost:3000/photo'], 'neither http nor https'],
    [['conform', 'photo'], 'no URL'],
    [['conform', 'http://a.example', 'http://b.example'], 'one too many'],
    [['conform', 'http://127.0.0.1:9/', '--nonsense'], "Unknown option '--nonsense'"],
    [['conform', 'http://127.0.0.1:9/', '--header', 'nonsense'], 'no header'],
    [['conform', 'http://127.0.0.1:9/', '--header', 'Na me: x'], 'cannot be sent'],
    [['conform', 'http://127.0.0.1:9/', '--method', 'P@ST'], 'no HTTP method'],
    [['conform', 'http://127.0.0.1:9/', '--profile', 'strict'], '--profile is spec or mppkit'],
    [['conform', 'http://127.0.0.1:9/', '--timeout', 'soon'], '--timeout is a number'],
    [['conform', 'http://127.0.0.1:9/', '--failing', 'http://other.example/'], 'on the same server'],
    [['conform', 'http://127.0.0.1:9/', '--pay', 'cash'], '--pay is toy or tempo'],
    [['conform', 'http://127.0.0.1:9/', '--live'], 'nobody pays'],
    [['conform', 'http://127.0.0.1:9/', '--pay', 'toy', '--live'], 'neither a node nor real money'],
    [['conform', 'http://127.0.0.1:9/', '--pay', 'toy', '--max', 'much'], '--max much is no amount'],
    [['conform', 'http://127.0.0.1:9/', '--pay', 'tempo'], 'MPPKIT_PRIVATE_KEY'],
    [
      ['conform', 'http://127.0.0.1:9/', '--pay', 'tempo', '--live'],
      'real money needs a limit',
      { MPPKIT_PRIVATE_KEY: key },
    ],
    [
      ['conform', 'http://127.0.0.1:9/', '--pay', 'tempo', '--rpc', 'http://127.0.0.1:9'],
      'does not answer eth_chainId',
    ],
    [['conform', 'http://127.0.0.1:9/'], 'ECONNREFUSED'],
    [['doctor'], 'which URL or configuration file?'],
    [['doctor', 'http://127.0.0.1:9/'], 'ECONNREFUSED'],
    [['discover', 'http://127.0.0.1:9/openapi.json'], 'give the origin alone: http://127.0.0.1:9'],
    [['discover', 'http://127.0.0.1:65535'], 'ECONNREFUSED'],
    [['frobnicate'], 'no command "frobnicate"'],
  ]
  for (const [argv, says, env] of usage)
    test(`2: mppkit ${argv.join(' ')}`, async () => {
      const { code, out, err } = await told(argv, env)
      expect({ code, out }).toEqual({ code: 2, out: '' })
      expect(err).toContain(says)
      expect(err).not.toContain(key)
      expect(err.trim().split('\n')).toHaveLength(1)
    })

  test('2: a server that never answers, after the time that was given', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1')
    await new Promise((resolve) => silent.once('listening', resolve))
    const { port } = silent.address() as { port: number }
    const { code, err } = await told(['conform', `http://127.0.0.1:${port}/`, '--timeout', '0.3'])
    silent.close()
    expect({ code, err }).toEqual({
      code: 2,
      err: `mppkit conform: 127.0.0.1:${port}: no answer within 0.3 s\n`,
    })
  })
})

test('help tells the commands, and what each of them takes', async () => {
  expect(await told([])).toMatchObject({ code: 2, out: expect.stringContaining('mppkit discover <origin>') })
  for (const argv of [['--help'], ['conform', '--help'], ['doctor', '-h'], ['discover', '--help']])
    expect(await told(argv)).toMatchObject({
      code: 0,
      out: expect.stringContaining(argv[0]!.replace('--help', 'Exit codes')),
      err: '',
    })
})

test('--json is the whole report, --all lists what passed', async () => {
  shop = await openShop()
  const { out } = await told(['conform', `${shop.url}/photo`, '--pay', 'toy', '--max', '1000', '--json'])
  const report = JSON.parse(out) as Report & { spent: string }
  expect(report.verdicts.length).toBe(report.passed + report.skipped)
  expect(Number(report.spent)).toBeGreaterThan(0)
  const { out: all } = await told(['conform', `${shop.url}/photo`, '--all'])
  expect(all).toContain('ok       challenge-syntax: ')
})

test('a limit on what may be spent is kept, and what it prevents is said', async () => {
  shop = await openShop()
  const { code, out } = await told(['conform', `${shop.url}/photo`, '--pay', 'toy', '--max', '3.00'])
  expect(code).toBe(0)
  expect(out).toMatch(/the limit on what may be spent is reached: .*replay/)
})

test('what a server sends cannot steer the terminal', async () => {
  const { createServer: http } = await import('node:http')
  const evil = http((_, response) => response.writeHead(200).end('\u001B[2J\u202Egone')).listen(
    0,
    '127.0.0.1',
  )
  await new Promise((resolve) => evil.once('listening', resolve))
  const { out } = await told(['conform', `http://127.0.0.1:${(evil.address() as { port: number }).port}/`])
  evil.close()
  expect(out).toContain('asks-for-money')
  for (const letter of ['\u001B', '\u202E']) expect(out).not.toContain(letter)
})

test('the program itself runs', async () => {
  const bin = fileURLToPath(new URL('../src/bin.ts', import.meta.url))
  const ran = spawnSync(process.execPath, [bin, 'conform'], { encoding: 'utf8' })
  expect({ status: ran.status, stderr: ran.stderr }).toEqual({
    status: 2,
    stderr: 'mppkit conform: which URL?\n',
  })
})

test('the program ends although a configuration holds the client of its store', () => {
  const [bin, held] = ['../src/bin.ts', 'configs/held.ts'].map((file) =>
    fileURLToPath(new URL(file, import.meta.url)),
  )
  const ran = spawnSync(process.execPath, [bin!, 'doctor', held!, '--json'], {
    encoding: 'utf8',
    timeout: 15_000,
  })
  expect({ status: ran.status, signal: ran.signal }).toEqual({ status: 0, signal: null })
  expect(JSON.parse(ran.stdout)).toMatchObject({ about: held })
})

const outside = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address

test.skipIf(!outside)(
  'real money is not paid over plain http (needs an address beyond the loopback)',
  async () => {
    shop = await openShop('listens-everywhere')
    const wallet = toyWallet({ ledger: createToyLedger(), account: 'alice' })
    const url = `http://${outside}:${new URL(shop.url).port}/photo`
    const pay = { method: wallet, live: true, most: 1_000_000n }
    const { verdicts, spent } = await conform({ url, pay })
    expect(spent).toBe(0n)
    expect(verdicts.find(({ id }) => id === 'payment-served')).toMatchObject({
      outcome: 'skipped',
      detail: 'real money is not paid over plain http',
    })
    expect(verdicts.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)).toEqual(['over-tls'])
    const { most: _, ...unlimited } = pay
    await expect(conform({ url, pay: unlimited })).rejects.toThrow('real money needs a limit')
  },
)
