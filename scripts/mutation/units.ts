import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root } from './judges.ts'

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** The second judge: the unit tests of the same packages. */
export class Units {
  /** Test files that are red without a mutant, by what they are asked about: they say nothing about one. */
  readonly #unfit = new Map<string, Promise<string[]>>()
  readonly #sources: ReadonlyMap<string, string>
  readonly #folder: string
  #notes = 0

  constructor(sources: ReadonlyMap<string, string>, folder: string) {
    this.#sources = sources
    this.#folder = folder
    writeFileSync(join(folder, 'sources.json'), JSON.stringify([...sources]))
  }

  /** Whether the unit tests around a file notice its other text. */
  async catch(file: string, text: string): Promise<boolean> {
    const tests = testsOf(file)
    const key = tests.join()
    const red = this.#unfit.get(key) ?? this.#failing(file, tests)
    this.#unfit.set(key, red)
    return this.#isRed(file, text, tests, await red)
  }

  /** The test files that are red without a mutant, and were not asked. */
  async unfit(): Promise<string[]> {
    return [...new Set((await Promise.all(this.#unfit.values())).flat())]
  }

  async #failing(file: string, tests: readonly string[]): Promise<string[]> {
    const report = join(this.#folder, `units-${this.#unfit.size}.json`)
    const args = [...tests, '--reporter=json', `--outputFile=${report}`]
    await this.#vitest(file, this.#sources.get(file)!, args)
    const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as {
      testResults: { name: string; status: string }[]
    }
    const red = testResults.filter(({ status }) => status === 'failed')
    // Without any file left, every mutant would be said to be caught.
    if (red.length * 2 >= testResults.length)
      throw new Error(`without a mutant, the unit tests in ${tests.join(', ')} are red`)
    const unfit = red.map(({ name }) => relative(root, name).split(sep).join('/'))
    // A judge who lets live what cannot even be loaded sees something else than the mutant: a cache, say.
    const dead = `throw new Error('mutant')\n${this.#sources.get(file)!}`
    if (!(await this.#isRed(file, dead, tests, unfit)))
      throw new Error(`the unit tests in ${tests.join(', ')} do not see what is put before them`)
    return unfit
  }

  async #isRed(
    file: string,
    text: string,
    tests: readonly string[],
    unfit: readonly string[],
  ): Promise<boolean> {
    const excluded = unfit.map((path) => `--exclude=${path}`)
    return (await this.#vitest(file, text, [...tests, ...excluded, '--bail=1', '--reporter=dot'])) !== 0
  }

  #vitest(file: string, text: string, args: readonly string[]): Promise<number | null> {
    const note = join(this.#folder, `unit-${this.#notes++}.json`)
    writeFileSync(note, JSON.stringify({ sources: join(this.#folder, 'sources.json'), file, text }))
    const program = join(dirname(realpathSync(join(root, 'node_modules/vitest/package.json'))), 'vitest.mjs')
    const config = fileURLToPath(new URL('units.config.ts', import.meta.url))
    return new Promise((resolve) => {
      // One red answer may be chance, where several of these are at work at once; and it would cost the whole file.
      const child = spawn(process.execPath, [program, 'run', '--config', config, '--retry=1', ...args], {
        cwd: root,
        stdio: 'ignore',
        env: { ...process.env, MPPKIT_MUTANT: note, MPPKIT_CITATIONS: '' },
      })
      running.add(child)
      const timer = setTimeout(() => child.kill('SIGKILL'), 180_000)
      child.once('exit', (code) => {
        clearTimeout(timer)
        running.delete(child)
        resolve(code)
      })
    })
  }
}

function testsOf(file: string): string[] {
  const adapter = /^packages\/adapters\/([^/]+)\//.exec(file)?.[1]
  if (adapter === undefined) {
    const own = /^packages\/[^/]+/.exec(file)![0] + '/test/'
    // What adapters share is asked about where they are.
    if (!/\/(?:deliver|fetch|web)\.ts$/.test(file)) return [own]
    return [own, 'packages/adapters/hono/test/', 'packages/adapters/node/test/']
  }
  const shared = adapter === 'node' ? ['express', 'fastify'] : []
  return [adapter, ...shared].map((name) => `packages/adapters/${name}/test/`)
}
