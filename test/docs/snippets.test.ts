import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { allPages, blocksOf, root, scratch, type Block } from './blocks.ts'

// What a newcomer pastes must compile: every example in a page that begins with its imports.
const folder = join(scratch, 'compile')
const blocks = allPages().flatMap(blocksOf)
const origins = new Map<string, Block>()

afterAll(() => rmSync(folder, { recursive: true, force: true }))

test(`the ${blocks.length} examples of all pages compile`, { timeout: 120_000 }, () => {
  for (const block of blocks) {
    const file = fileOf(block)
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), block.code)
  }
  expect(blocks.length).toBeGreaterThan(60)
  const config = {
    extends: relative(folder, join(root, 'tsconfig.base.json')),
    // A seller written in a hurry: strict, but without our own rules of the house.
    compilerOptions: { noEmit: true, isolatedDeclarations: false, declaration: false, declarationMap: false },
    include: ['**/*.ts'],
    exclude: ['next'],
  }
  // Next's own way to look for modules.
  const bundled = {
    ...config.compilerOptions,
    module: 'preserve',
    moduleResolution: 'bundler',
    rootDir: '..',
  }
  const next = { ...config, extends: join('..', config.extends), compilerOptions: bundled, exclude: [] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  writeFileSync(join(folder, 'next/tsconfig.json'), JSON.stringify(next))
  for (const project of [folder, join(folder, 'next')]) {
    const { stdout, status } = spawnSync('tsc', ['-p', project], { cwd: root, encoding: 'utf8' })
    const faults = stdout.replaceAll(/^\S*?([\w./-]+\.ts)(?=\()/gm, (path: string) => {
      const block = [...origins].find(([file]) => path.endsWith(file))?.[1]
      return block ? `${block.page} ${block.name ?? ''}` : path
    })
    expect(faults).toBe('')
    expect(status).toBe(0)
  }
})

const named = blocks.filter(({ page, name }) => page.startsWith('docs/') && name !== undefined)

test(`${named.length} files in docs/ are run, by quickstart.test.ts and recipes.test.ts`, () => {
  const started = ['express', 'hono', 'fastify', 'elysia', 'fetch', 'next', 'buyer'].map(
    (name) => `quickstart/${name}`,
  )
  const others = ['migrate/from-mppx', 'migrate/from-x402', 'recipes']
  const pages = [...started, ...others].map((name) => `docs/${name}.md`)
  expect([...new Set(named.map(({ page }) => page))].sort()).toEqual(pages.sort())
})

test('links from page to page lead somewhere', () => {
  const broken: string[] = []
  for (const page of allPages())
    for (const [, target] of withoutCode(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target!)) continue
      const [path, anchor] = target!.split('#') as [string, string | undefined]
      const file = path === '' ? page : join(dirname(page), path)
      if (!existsSync(join(root, file)) || (anchor !== undefined && !anchorsOf(file).includes(anchor)))
        broken.push(`${page}: ${target}`)
    }
  expect(broken).toEqual([])
})

function withoutCode(page: string): string {
  return readFileSync(join(root, page), 'utf8').replaceAll(/^```[\s\S]*?^```$/gm, '')
}

function anchorsOf(page: string): string[] {
  return [...withoutCode(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

/** Named blocks of one page see each other, under their names; a name that comes again is another version of it. */
function fileOf(block: Block): string {
  const page = block.page.replaceAll(/[/.]/g, '-')
  const base = block.page === 'docs/quickstart/next.md' ? 'next' : page
  const name = block.name ?? `block.ts`
  let file = join(base, name)
  for (let version = 2; origins.has(file); version++) {
    file = join(base, `${name.replace(/\.ts$/, '')}-${version}.ts`)
  }
  origins.set(file, block)
  return file
}
