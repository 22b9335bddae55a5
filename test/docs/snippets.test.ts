import { spawnSync } from 'node:child_process'
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'

// What a newcomer pastes must compile: every example in a page that begins with its imports.
const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = join(root, 'test/docs/.snippets')
const pages = ['README.md', ...globSync('{packages,docs,apps}/**/*.md', { cwd: root })].filter(
  (page) => !/node_modules|CHANGELOG|\.next/.test(page),
)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('the examples of all pages compile', { timeout: 60_000 }, () => {
  mkdirSync(folder, { recursive: true })
  const origins: string[] = []
  for (const page of pages)
    for (const [, code] of readFileSync(join(root, page), 'utf8').matchAll(
      /^```ts\n(import [\s\S]*?)^```$/gm,
    )) {
      writeFileSync(join(folder, `snippet-${origins.length}.ts`), code!)
      origins.push(page)
    }
  expect(origins.length).toBeGreaterThan(5)
  const config = {
    extends: relative(folder, join(root, 'tsconfig.base.json')),
    // A seller written in a hurry: strict, but without our own rules of the house.
    compilerOptions: { noEmit: true, isolatedDeclarations: false, declaration: false, declarationMap: false },
    include: ['*.ts'],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  const { stdout } = spawnSync('tsc', ['-p', folder], { cwd: root, encoding: 'utf8' })
  const faults = stdout.replaceAll(
    /^.*snippet-(\d+)\.ts/gm,
    (_, index: string) => origins[Number(index)] ?? '',
  )
  expect(faults).toBe('')
})
