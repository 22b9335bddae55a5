import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { runVectors, type Vector, type VectorResult } from './vectors.ts'

const BUNDLED = fileURLToPath(new URL('../vectors/core.json', import.meta.url))

/** `node vectors-cli.ts [file…]`: one line per vector that fails or is skipped, then the sums; exit code 1 on failure. */
async function main(files: readonly string[]): Promise<number> {
  const results: VectorResult[] = []
  for (const file of files) results.push(...(await runFile(file)))
  for (const { id, kind, pass, reason } of results) {
    if (pass !== true) console.log(`${pass === false ? 'FAIL' : 'skip'} ${id} (${kind}): ${reason}`)
  }
  const count = (pass: VectorResult['pass']) => results.filter((result) => result.pass === pass).length
  console.log(`${count(true)} passed, ${count(false)} failed, ${count('skipped')} skipped`)
  return count(false) === 0 ? 0 : 1
}

async function runFile(file: string): Promise<VectorResult[]> {
  const content = JSON.parse(await readFile(file, 'utf8')) as Vector[] | { vectors: Vector[] }
  return await runVectors(Array.isArray(content) ? content : content.vectors)
}

const files = process.argv.slice(2).filter((argument) => argument !== '--')
process.exitCode = await main(files.length > 0 ? files : [BUNDLED])
