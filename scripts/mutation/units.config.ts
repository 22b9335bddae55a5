// The unit tests with one mutant in the sources: the second judge of what the suite has let live.
import { readFileSync } from 'node:fs'
import { relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

interface Note {
  /** A file with the state of all sources, which others may be editing meanwhile. */
  sources: string
  file: string
  text: string
}

const note = read(process.env['MPPKIT_MUTANT'] ?? '') as Note
const sources = new Map(read(note.sources) as [file: string, text: string][]).set(note.file, note.text)
const root = fileURLToPath(new URL('../..', import.meta.url))

export default defineConfig({
  root,
  plugins: [
    {
      name: 'mutant',
      enforce: 'pre',
      load: (id) => sources.get(relative(root, id.split('?')[0]!).split(sep).join('/')),
    },
  ],
  test: {
    // Under its key a mutant would be found again by the next one, and by whoever runs without any.
    fsModuleCache: false,
    include: ['packages/**/test/**/*.test.ts'],
    // The suite has spoken.
    testNamePattern: /^(?!adapter )/,
    // These run the sources in processes of their own, where no plugin comes.
    exclude: ['**/node_modules/**', '**/{death,takeover}.test.ts'],
    testTimeout: 10_000,
    hookTimeout: 10_000,
  },
})

function read(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'))
}
