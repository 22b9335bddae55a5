import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Gates, MppOptions } from '@mppkit/server'
import { Usage } from '../arguments.ts'

/** What a configuration file exports. */
export type Config = { options: MppOptions } | { mpp: Pick<Gates, 'check'> }

/** Imports a configuration file: `options` (of `createMpp`) or `mpp` (what it made), by name or as the default export. Throws `Usage`. */
export async function loadConfig(file: string): Promise<Config> {
  const path = resolve(file)
  if (!existsSync(path)) throw new Usage(`there is no file ${path}`)
  let module: Record<string, unknown>
  try {
    module = (await import(pathToFileURL(path).href)) as Record<string, unknown>
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === 'ERR_UNKNOWN_FILE_EXTENSION')
      throw new Usage(
        `${file} is TypeScript, which this Node does not read; Node 22.18 does, or compile it first`,
      )
    // What createMpp says of options that cannot work is the finding itself.
    if (error instanceof TypeError && error.message.startsWith('mppkit: '))
      throw new Usage(`${file} cannot be imported. ${error.message}`)
    throw new Usage(`${file} cannot be imported: ${(error as Error).message}`)
  }
  for (const found of [module.options, module.mpp, module.default]) {
    if (typeof found !== 'object' || found === null) continue
    if ('methods' in found) return { options: found as MppOptions }
    if ('check' in found && typeof found.check === 'function') return { mpp: found as Pick<Gates, 'check'> }
  }
  throw new Usage(
    `${file} exports neither \`options\` (those of createMpp) nor \`mpp\` (what createMpp made)`,
  )
}
