// Bundles every entry as a published package would be and looks inside: neutral entries must not need Node, and no
// entry may carry what belongs to another (a chain library in a framework adapter, a test kit in a server).
import { build } from 'esbuild'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

interface Entry {
  file: string
  /** Loads in browsers, workerd, Deno, Bun. */
  neutral: boolean
  /** Words that must not stand in the bundle: each belongs to another package. */
  never: RegExp[]
  external?: string[]
}

const CHAIN = /\bviem\b|\bsecp256k1\b|\bkeccak/i
const KIT = /toyMethod|vitest/
const PROTOCOL = /www-authenticate|payment-receipt|\b402\b/i

const ENTRIES: Entry[] = [
  { file: 'packages/core/src/index.ts', neutral: true, never: [CHAIN, KIT] },
  { file: 'packages/server/src/index.ts', neutral: true, never: [CHAIN, KIT] },
  { file: 'packages/client/src/index.ts', neutral: true, never: [CHAIN, KIT] },
  { file: 'packages/adapters/hono/src/index.ts', neutral: true, never: [CHAIN, KIT], external: ['hono'] },
  {
    file: 'packages/adapters/hono/src/index.ts',
    neutral: true,
    never: [CHAIN, KIT, PROTOCOL],
    external: ['hono', '@mppkit/server'],
  },
  {
    file: 'packages/adapters/elysia/src/index.ts',
    neutral: true,
    never: [CHAIN, KIT, PROTOCOL],
    external: ['elysia', '@mppkit/server'],
  },
  {
    file: 'packages/adapters/next/src/index.ts',
    neutral: true,
    never: [CHAIN, KIT, PROTOCOL],
    external: ['next', '@mppkit/server'],
  },
  {
    file: 'packages/adapters/fastify/src/index.ts',
    neutral: false,
    never: [CHAIN, KIT, PROTOCOL],
    external: ['fastify', '@mppkit/server'],
  },
  {
    file: 'packages/adapters/node/src/index.ts',
    neutral: false,
    never: [CHAIN, KIT, PROTOCOL],
    external: ['@mppkit/server'],
  },
  {
    file: 'packages/adapters/express/src/index.ts',
    neutral: false,
    never: [CHAIN, KIT, PROTOCOL],
    external: ['express', '@mppkit/server'],
  },
  { file: 'packages/methods/tempo/src/server.ts', neutral: true, never: [KIT], external: ['viem', 'ox'] },
  { file: 'packages/methods/tempo/src/client.ts', neutral: true, never: [KIT], external: ['viem', 'ox'] },
  { file: 'packages/stores/sqlite/src/index.ts', neutral: false, never: [CHAIN, KIT] },
  { file: 'packages/testing/src/conform.ts', neutral: false, never: [CHAIN, /vitest/] },
  { file: 'packages/stores/cloudflare/src/index.ts', neutral: true, never: [CHAIN, KIT, PROTOCOL] },
]

const faults: string[] = []

for (const { file, neutral, never, external = [] } of ENTRIES) {
  try {
    const { outputFiles } = await build({
      entryPoints: [join(root, file)],
      bundle: true,
      write: false,
      format: 'esm',
      platform: neutral ? 'browser' : 'node',
      external: external.flatMap((name) => [name, `${name}/*`]),
      legalComments: 'none',
      minifyWhitespace: true,
      logLevel: 'silent',
    })
    const text = outputFiles[0]?.text ?? ''
    if (neutral && /\bfrom\s*["']node:|\bimport\(["']node:|\brequire\(/.test(text))
      faults.push(`${file}: imports a Node module`)
    if (neutral && /(?<![.\w$"'])Buffer\b/.test(text)) faults.push(`${file}: uses the global Buffer`)
    for (const word of never) {
      const hit = word.exec(text)
      if (hit)
        faults.push(
          `${file}${external.length ? ` (without ${external.join(', ')})` : ''}: carries "${hit[0]}"`,
        )
    }
  } catch (error) {
    faults.push(`${file}: ${(error as Error).message.split('\n').slice(0, 3).join(' ')}`)
  }
}

if (faults.length > 0) {
  console.error(`Entries carry what they must not:\n${faults.map((fault) => `  ${fault}`).join('\n')}`)
  process.exit(1)
}
console.log(`${ENTRIES.length} entries are clean`)
