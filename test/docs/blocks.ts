import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root of the repository. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

/** Where files from pages are put while they are tried: inside the workspace, so that they find its packages. */
export const scratch = join(root, 'test/docs/.snippets')

/** An example in a page. */
export interface Block {
  /** The page, from the root. */
  page: string
  /** What the line above the block calls it: a name in backticks and a colon, and nothing else. */
  name?: string
  code: string
}

/** All pages that a reader may paste from. */
export function allPages(): string[] {
  const pages = globSync('{packages,docs,apps}/**/*.md', { cwd: root })
  return ['README.md', ...pages].filter((page) => !/node_modules|CHANGELOG|\.next/.test(page)).sort()
}

/** The examples of a page that have a name or begin with their imports, in order. */
export function blocksOf(page: string): Block[] {
  const text = readFileSync(join(root, page), 'utf8')
  const blocks = text.matchAll(/(?:^`([\w./-]+)`:\n\n)?^```ts\n([\s\S]*?)^```$/gm)
  return [...blocks].flatMap(([, name, code]) =>
    name === undefined && !code!.startsWith('import ')
      ? []
      : [{ page, ...(name !== undefined && { name }), code: code! }],
  )
}
