/* Stands in for node:fs on workerd, which has no files: the one that the questions read is in the bundle. */
import vectors from '../../../packages/testing/vectors/core.json' with { type: 'json' }

const isVectors = (path: URL | string): boolean =>
  String(path).endsWith('/packages/testing/vectors/core.json')

export const existsSync = isVectors

export function readFileSync(path: URL | string): string {
  if (!isVectors(path)) throw new Error(`there is no ${String(path)} on workerd`)
  return JSON.stringify(vectors)
}

export function mkdirSync(): never {
  throw new Error('there are no folders on workerd')
}

export const appendFileSync = mkdirSync
