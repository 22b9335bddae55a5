import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const ENTRIES = ['seller', 'ledger', 'restart', 'auditor']

/**
 * Bundles what runs in processes of its own: sellers are born by the hundred, and all of a run are to be of one source.
 *
 * @param folder Must lie where the packages of the workspace's root can be found.
 */
export async function bundle(folder: string): Promise<void> {
  await build({
    entryPoints: ENTRIES.map((name) => fileURLToPath(new URL(`${name}.ts`, import.meta.url))),
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'esm',
    splitting: true,
    sourcemap: 'linked',
    logLevel: 'error',
    plugins: [
      {
        name: 'packages of others stay where they are',
        setup(bundler) {
          bundler.onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
            kind === 'entry-point' || path.startsWith('@mppkit/') ? undefined : { path, external: true },
          )
        },
      },
    ],
  })
}
