// The dependency rule (AGENTS.md): who may import whom, in manifests and in every import of every source file.
import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

interface Rule {
  /** Allowed packages; those of the workspace without their scope. */
  may: string[]
  /** Whether Node's own modules may be imported; others must load on any runtime. */
  node?: boolean
}

const RULES: Record<string, Rule> = {
  'packages/core': { may: [] },
  'packages/server': { may: ['core'] },
  'packages/client': { may: ['core'] },
  'packages/adapters/node': { may: ['server'], node: true },
  'packages/adapters/express': { may: ['core', 'server', 'node', 'express'], node: true },
  'packages/adapters/fastify': { may: ['core', 'server', 'node', 'fastify'], node: true },
  'packages/adapters/hono': { may: ['core', 'server', 'hono'] },
  'packages/adapters/elysia': { may: ['core', 'server', 'elysia'] },
  'packages/adapters/next': { may: ['core', 'server', 'next'] },
  'packages/methods/tempo': { may: ['core', 'viem', 'ox'] },
  'packages/stores/sqlite': { may: ['core'], node: true },
  'packages/stores/redis': { may: ['core'] },
  'packages/stores/postgres': { may: ['core'] },
  'packages/stores/cloudflare': { may: ['core'] },
  'packages/cli': {
    may: [
      'core',
      'server',
      'client',
      'testing',
      'tempo',
      'viem',
      'sqlite',
      'redis',
      'postgres',
      'cloudflare',
    ],
    node: true,
  },
  'packages/testing': { may: ['core', 'server', 'vitest', '@foundry-rs/anvil'], node: true },
}

const IMPORT =
  /(?:^|[\s;}])(?:import|export)\s+(?:type\s+)?(?:[\w*{}\s,$]+?\s+from\s+)?['"]([^'"]+)['"]|(?<!typeof )\bimport\(\s*['"]([^'"]+)['"]\s*\)/g
const faults: string[] = []

for (const [folder, rule] of Object.entries(RULES)) {
  const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
  const declared = new Set(Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }))
  for (const name of declared)
    if (!allowed(name, rule)) faults.push(`${folder}/package.json depends on ${name}`)
  for (const file of sources(join(root, folder, 'src'))) {
    const text = readFileSync(file, 'utf8').replace(/^\s*\/\/.*$|^\s*\*.*$/gm, '')
    for (const match of text.matchAll(IMPORT)) {
      const name = (match[1] ?? match[2]) as string
      if (name.startsWith('.')) continue
      const where = `${relative(root, file)} imports ${name}`
      if (name.startsWith('node:') || builtinModules.includes(name)) {
        if (!rule.node) faults.push(`${where}, but must load on every runtime`)
      } else {
        const owner = packageOf(name)
        const itself = owner === manifest.name
        if (!itself && !allowed(owner, rule)) faults.push(where)
        else if (!itself && !declared.has(owner) && !isTypeOnly(text, name))
          faults.push(`${where}, which its package.json does not declare`)
      }
    }
  }
}

if (faults.length > 0) {
  console.error(`The dependency rule is broken:\n${faults.map((fault) => `  ${fault}`).join('\n')}`)
  process.exit(1)
}
console.log(`dependency rule holds for ${Object.keys(RULES).length} packages`)

function allowed(name: string, { may }: Rule): boolean {
  return may.includes(name.replace(/^@mppkit\//, ''))
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function isTypeOnly(text: string, name: string): boolean {
  return new RegExp(`import\\s+type\\s[^;]*?['"]${name}['"]`).test(text)
}

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
}
