import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import { afterEach, expect, test, vi } from 'vitest'
import { openShop } from './broken/toy-shop.ts'
import { told } from './told.ts'

afterEach(() => void vi.unstubAllEnvs())

/** A certificate that nobody has signed; undefined where there is no openssl to make one. */
function certificate(): { key: string; cert: string } | undefined {
  const made = spawnSync(
    'openssl',
    // prettier-ignore
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '-', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'],
    { encoding: 'utf8' },
  )
  const [key] = /-----BEGIN PRIVATE KEY-----[^]*?-----END PRIVATE KEY-----/.exec(made.stdout ?? '') ?? []
  const [cert] = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/.exec(made.stdout ?? '') ?? []
  return key !== undefined && cert !== undefined ? { key, cert } : undefined
}

const pair = certificate()

test.skipIf(!pair)(
  'a server over https is asked like any other (needs openssl for a certificate)',
  async () => {
    const shop = await openShop()
    const inner = Number(new URL(shop.url).port)
    const outer = createServer(pair!, (socket) => {
      const onward = connect(inner, '127.0.0.1')
      socket.pipe(onward).pipe(socket)
      for (const end of [socket, onward]) end.on('error', () => end.destroy())
    }).listen(0, '127.0.0.1')
    await once(outer, 'listening')
    const url = `https://localhost:${(outer.address() as AddressInfo).port}/photo`
    try {
      // What is not trusted is not asked.
      expect(await told(['conform', url])).toMatchObject({
        code: 2,
        err: expect.stringMatching(/self.signed/i),
      })
      vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
      const { code, out } = await told(['conform', url, '--pay', 'toy', '--profile', 'mppkit', '--all'])
      expect(out).toContain(', 0 failed, 0 warnings')
      expect(out).toContain('ok       over-tls: ')
      expect(code).toBe(0)
    } finally {
      outer.close()
      shop.close()
    }
  },
)
