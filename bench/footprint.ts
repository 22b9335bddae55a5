import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build, type Plugin } from 'esbuild'
import { check, inTurn, quotient, Samples, spread, type Spread } from './lib/measure.ts'
import type { Row, Target } from './lib/table.ts'

interface Entry {
  name: string
  source: string
  /** gzip KB. */
  size?: Target
  /** Milliseconds. */
  time?: Target
  /** The entry of mppx that does the same job. */
  like?: string
}

/** What a stranger's rail needs of us. */
const CUSTOM = `
  import { PaymentError } from '@mppkit/core'
  export const custom = {
    name: 'custom', intent: 'charge', moves: 'settle',
    takes: () => true,
    quote: ({ amount, currency, recipient }) => ({ amount, currency, recipient }),
    parse({ proof }) {
      if (typeof proof !== 'string') throw new PaymentError('malformed-credential', 'The proof is no text.')
      return { proof, key: proof }
    },
    verify: async () => ({}),
    settle: async ({ proof }) => ({ status: 'success', method: 'custom', timestamp: new Date().toISOString(), reference: proof }),
    find: async () => 'unknown',
  }`

const THEIR_CUSTOM = `
  import { Method, z } from 'mppx'
  export const custom = Method.toServer(
    Method.from({ name: 'custom', intent: 'charge', schema: {
      credential: { payload: z.object({ proof: z.string() }) },
      request: z.object({ amount: z.string(), currency: z.string(), recipient: z.string() }),
    } }),
    { verify: async ({ credential }) => ({ method: 'custom', status: 'success', timestamp: new Date().toISOString(), reference: credential.payload.proof }) },
  )`

const ENTRIES: readonly Entry[] = [
  {
    name: 'server: Hono, own method',
    source: `export { createMpp } from '@mppkit/hono'; ${CUSTOM}`,
    size: { most: 15 },
    time: { most: 30 },
    like: 'mppx/hono',
  },
  {
    name: 'client',
    source: `export { createClient, limits } from '@mppkit/client'`,
    size: { most: 10 },
    time: { most: 30 },
    like: 'mppx/client',
  },
  {
    name: 'server: Express, own method',
    source: `export { createMpp } from '@mppkit/express'; ${CUSTOM}`,
    like: 'mppx/express',
  },
  { name: 'tempo/server', source: `export { tempo } from '@mppkit/tempo/server'` },
  { name: 'tempo/client', source: `export { tempo } from '@mppkit/tempo/client'` },
  {
    name: 'server: Hono, Tempo',
    source: `export { createMpp } from '@mppkit/hono'; export { tempo } from '@mppkit/tempo/server'`,
    like: 'mppx/hono, tempo',
  },
  {
    name: 'client: Tempo',
    source: `export { createClient, limits } from '@mppkit/client'; export { tempo } from '@mppkit/tempo/client'`,
    like: 'mppx/client, tempo',
  },
]

const PEERS: readonly Entry[] = [
  { name: 'mppx/hono', source: `export { Mppx } from 'mppx/hono'; ${THEIR_CUSTOM}` },
  { name: 'mppx/express', source: `export { Mppx } from 'mppx/express'; ${THEIR_CUSTOM}` },
  { name: 'mppx/client', source: `export { Mppx } from 'mppx/client'` },
  { name: 'mppx/hono, tempo', source: `export { Mppx, tempo } from 'mppx/hono'` },
  { name: 'mppx/client, tempo', source: `export { Mppx, tempo } from 'mppx/client'` },
]

/** What the seller has anyway, or the chain's own library: counted for nobody. */
const EXTERNAL = ['hono', '@hono/*', 'express', 'viem', 'ox', '@modelcontextprotocol/*']

/** Inside the workspace's `node_modules`, so that what is external is found; ignored by git. */
const SCRATCH = fileURLToPath(new URL('../node_modules/.cache/bench', import.meta.url))

/** Kilobytes of a bundle, and milliseconds that its import takes. */
export async function footprint({ quick }: { quick: boolean }): Promise<Row[]> {
  rmSync(SCRATCH, { recursive: true, force: true })
  mkdirSync(SCRATCH, { recursive: true })
  const entries = [...ENTRIES, ...PEERS]
  const sizes = new Map<string, Spread>()
  for (const { name, source } of entries) sizes.set(name, spread([await sizeOf(source)]))
  const scripts = new Map([['empty', await scriptOf('empty', '')]])
  for (const { name, source } of entries) scripts.set(name, await scriptOf(name, source))
  const samples = new Samples()
  const rounds = quick ? 3 : 15
  for (let round = 0; round < rounds; round++) {
    for (const [name, script] of inTurn([...scripts], round)) samples.add(name, timeOf(script))
  }
  const empty = samples.spread('empty').median
  const timeTo = (name: string): Spread =>
    spread(samples.spread(name).samples.map((time) => Math.max(time - empty, 0)))
  rmSync(SCRATCH, { recursive: true, force: true })
  return ENTRIES.flatMap(({ name, like, size, time }) => [
    rowOf(
      `${name}: bundle, gzip`,
      'KB',
      size,
      sizes.get(name)!,
      like === undefined ? undefined : sizes.get(like),
    ),
    rowOf(`${name}: cold import`, 'ms', time, timeTo(name), like === undefined ? undefined : timeTo(like)),
  ])
}

function rowOf(
  what: string,
  unit: string,
  target: Target | undefined,
  ours: Spread,
  mppx: Spread | undefined,
): Row {
  const verdicts: Row['verdicts'] = []
  if (target) verdicts.push({ of: 'ours', ratio: ours, target })
  if (mppx) {
    const same = mppx.samples.length === ours.samples.length && ours.min > 0
    verdicts.push({
      of: 'mppx / ours',
      ratio: same ? quotient(mppx, ours) : spread([mppx.median / ours.median]),
    })
  }
  return { bench: 'footprint', what, unit, cells: { ours, ...(mppx && { mppx }) }, verdicts }
}

async function sizeOf(source: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: fileURLToPath(new URL('..', import.meta.url)), loader: 'ts' },
    bundle: true,
    minify: true,
    // What is loaded on demand counts as well.
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'es2022',
    external: EXTERNAL,
    outdir: SCRATCH,
    write: false,
    legalComments: 'none',
    logLevel: 'error',
  })
  return outputFiles.reduce((sum, { contents }) => sum + gzipSync(contents, { level: 9 }).length, 0) / 1000
}

/** The entry as it would be published: the workspace's own packages as plain JavaScript, all others where npm put them. */
async function scriptOf(name: string, source: string): Promise<string> {
  const folder = join(SCRATCH, name.replaceAll(/\W+/g, '-'))
  await build({
    stdin: {
      contents: source,
      resolveDir: fileURLToPath(new URL('..', import.meta.url)),
      loader: 'ts',
      sourcefile: 'entry.ts',
    },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'es2022',
    plugins: [othersAreExternal],
    outdir: folder,
    entryNames: 'entry',
    outExtension: { '.js': '.mjs' },
    logLevel: 'error',
  })
  const script = join(folder, 'main.mjs')
  writeFileSync(script, `import './entry.mjs'\n`)
  return script
}

const othersAreExternal: Plugin = {
  name: 'others-are-external',
  setup({ onResolve }) {
    onResolve({ filter: /^[^.]/ }, ({ path, kind }) =>
      kind === 'entry-point' || path.startsWith('@mppkit/') || path.startsWith('/')
        ? undefined
        : { path, external: true },
    )
  },
}

function timeOf(script: string): number {
  const begun = performance.now()
  const { status, stderr } = spawnSync(process.execPath, [script], { stdio: ['ignore', 'ignore', 'pipe'] })
  const time = performance.now() - begun
  check(status === 0, `${script} does not load: ${stderr.toString()}`)
  return time
}
