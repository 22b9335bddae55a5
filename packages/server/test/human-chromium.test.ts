import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createMpp } from '@mppkit/server'
import { createToyLedger, toyMethod } from '@mppkit/testing/toy'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
)
const missing = CHROMIUM === undefined ? ' (skipped: no Chromium on this machine)' : ''

const HOSTILE = `"'></title></style><script>document.title='owned'</script><img src=x onerror="document.title='owned'">`

/** What a browser has made of an address: its document, and what it had to say about it. */
async function look(url: string): Promise<{ dom: string; console: string[] }> {
  const profile = mkdtempSync(join(tmpdir(), 'mppkit-chromium-'))
  const flags = ['--headless', '--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--no-first-run']
  const told = ['--enable-logging=stderr', '--v=0', `--user-data-dir=${profile}`, '--dump-dom', url]
  const child = spawn(CHROMIUM!, [...flags, ...told], { stdio: ['ignore', 'pipe', 'pipe'] })
  const timer = setTimeout(() => child.kill('SIGKILL'), 45_000)
  let dom = ''
  let log = ''
  child.stdout.on('data', (chunk: Buffer) => (dom += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()))
  try {
    await once(child, 'close')
  } finally {
    clearTimeout(timer)
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
  }
  return { dom, console: log.split('\n').filter((line) => line.includes('CONSOLE')) }
}

describe.skipIf(missing !== '')(`in a real browser${missing}`, () => {
  const mpp = createMpp({
    realm: 'photos.example',
    secret: 'a-secret-of-at-least-thirty-two-bytes!!',
    origin: 'http://localhost',
    methods: [toyMethod({ ledger: createToyLedger(), recipient: 'shop' })],
    page: true,
  })
  const routes: Record<string, (request: Request) => Response | Promise<Response>> = {
    '/photo': mpp.charge({ amount: '0.01', description: 'One photo' })(() => new Response('sold')),
    '/hostile': mpp.charge({
      amount: '0.01',
      description: HOSTILE,
      externalId: HOSTILE,
      page: {
        title: HOSTILE,
        text: HOSTILE,
        link: `https://a.example/"'><script>document.title='owned'</script>`,
      },
    })(() => new Response('sold')),
  }
  /** The same page with what its policy forbids: what the browser says of that is what the others must not make it say. */
  routes['/forbidden'] = async () => {
    const page = await routes['/photo']!(
      new Request('http://localhost/photo', { headers: { accept: 'text/html' } }),
    )
    const body = (await page.text()).replace(
      '</main>',
      `<p style="color:red"></p><script>document.title='owned'</script></main>`,
    )
    return new Response(body, { status: 402, headers: page.headers })
  }
  const server = createServer((req, res) => {
    void (async () => {
      const path = (req.url ?? '/').split('?')[0]!
      const headers = Object.entries(req.headers).map(([name, value]): [string, string] => [
        name,
        String(value),
      ])
      const answer = await (routes[path] ?? (() => new Response(null, { status: 404 })))(
        new Request(`http://localhost${req.url ?? '/'}`, { headers }),
      )
      res.writeHead(answer.status, Object.fromEntries(answer.headers))
      res.end(await answer.text())
    })()
  })
  let url = ''
  beforeAll(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`
  })
  afterAll(() => {
    mpp.close()
    server.close()
    server.closeAllConnections()
  })

  test('the page is shown, and breaks its policy nowhere', { timeout: 60_000 }, async () => {
    const { dom, console } = await look(`${url}/photo?size=big`)
    expect(dom).toContain('<title>One photo</title>')
    expect(dom).toContain('0.01 USD')
    expect(console).toEqual([])
  })

  test('nor does it where others have written into it', { timeout: 60_000 }, async () => {
    const { dom, console } = await look(`${url}/hostile?"'><script>document.title='owned'</script>`)
    expect(dom).toContain('402 Payment Required')
    expect(dom).not.toContain('<title>owned</title>')
    // Not what stands in the values of attributes: that is text.
    expect(dom.replace(/="[^"]*"/g, '').match(/<(script|img)\b/g)).toBeNull()
    expect(console).toEqual([])
  })

  test('a page that breaks the policy would be noticed', { timeout: 60_000 }, async () => {
    const { dom, console } = await look(`${url}/forbidden`)
    expect(dom).not.toContain('<title>owned</title>')
    expect(console.filter((line) => line.includes('Content Security Policy')).length).toBeGreaterThanOrEqual(
      2,
    )
  })
})
