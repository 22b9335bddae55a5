import { readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { root, type Judge } from './judges.ts'

/** Every copy of the bundle is a server of its own: it is told once which of its mutants is awake. */
const BANNER = `const __m = globalThis.__mutant;
const __on = globalThis.__hit ? (n) => (globalThis.__hit(n), n === __m) : (n) => n === __m;`

/** The suite, the adapter and the server in one file; `change` gives a source its other text. */
export async function bundle(
  judge: Judge,
  outfile: string,
  change: (file: string, source: string) => string,
): Promise<void> {
  await build({
    stdin: {
      contents: `import ${JSON.stringify(`./${judge.file}`)}
export { ask, questions } from 'vitest'`,
      resolveDir: root,
      loader: 'ts',
    },
    outfile,
    absWorkingDir: root,
    bundle: true,
    // The packages say that importing them does nothing, which is not true of their tests.
    ignoreAnnotations: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'silent',
    banner: { js: BANNER },
    plugins: [
      {
        name: 'mutation',
        setup({ onLoad, onResolve }) {
          onResolve({ filter: /^vitest$/ }, () => ({ path: join(root, 'scripts/mutation/questions.ts') }))
          // What others wrote is loaded once for all copies.
          onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
            kind === 'entry-point' || path.startsWith('@mppkit/') ? undefined : { path, external: true },
          )
          onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, ({ path }) => {
            const file = relative(root, path).split(sep).join('/')
            const contents = change(file, readFileSync(path, 'utf8'))
            // Files beside a source are still beside it.
            const url = JSON.stringify(pathToFileURL(path).href)
            return { contents: contents.replaceAll('import.meta.url', url), loader: 'ts' }
          })
        },
      },
    ],
  })
}
