import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build, type Plugin } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '../../..')

export interface BundleOptions {
  adapter: string
  /** `entries/<name>.ts`. */
  entry: 'node' | 'bun' | 'deno' | 'workerd'
  outfile: string
}

/** Everything that runs inside a runtime in one file: the suite, the adapter and its test app, and the runner. */
export async function bundle({ adapter, entry, outfile }: BundleOptions): Promise<void> {
  const onNode = entry === 'node'
  await build({
    stdin: {
      contents: `import { main } from './entries/${entry}.ts'\nimport * as app from ${JSON.stringify(`./${appOf(adapter)}`)}\nexport default main(${JSON.stringify(adapter)}, app)\n${
        entry === 'workerd' ? "export { app0, app1, app2, app3 } from './entries/workerd.ts'\n" : ''
      }`,
      resolveDir: join(here, '..'),
      loader: 'ts',
    },
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'es2023',
    logLevel: 'warning',
    alias: { vitest: join(here, 'runner.ts') },
    // A framework is loaded as it would be in production, where the runtime finds packages itself.
    external: onNode || entry === 'bun' ? FRAMEWORKS : ['bun'],
    plugins: [
      atHome,
      ...(onNode
        ? []
        : [replace(/^\.\/buyer\.ts$/, 'remote-buyer.ts'), replace(/^@hono\/node-server$/, 'nothing.ts')]),
      ...(entry === 'workerd' ? [replace(/^(node:)?fs$/, 'workerd-fs.ts')] : []),
    ],
  })
}

const FRAMEWORKS = [
  'express',
  'fastify',
  'elysia',
  '@elysiajs/node',
  'hono',
  '@hono/node-server',
  'next',
  'react',
  'react-dom',
]

function appOf(adapter: string): string {
  return adapter === 'fetch'
    ? '../../packages/server/test/lib/serve-fetch.ts'
    : `../../packages/adapters/${adapter}/test/serve.ts`
}

/** Source files find what lies beside them, although they run from a bundle. */
const atHome: Plugin = {
  name: 'at-home',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/](packages|test)[\\/].*\.ts$/ }, async ({ path }) => ({
      contents: (await readFile(path, 'utf8'))
        .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href))
        .replaceAll('import.meta.dirname', JSON.stringify(dirname(path))),
      loader: 'ts',
    }))
  },
}

function replace(filter: RegExp, file: string): Plugin {
  const path = join(here, file)
  return {
    name: file,
    setup: ({ onResolve }) =>
      onResolve({ filter }, ({ importer, kind }) =>
        // Types of the real one are erased; the stand-in itself may name it.
        kind === 'import-statement' && importer !== path ? { path } : undefined,
      ),
  }
}

export { root }
