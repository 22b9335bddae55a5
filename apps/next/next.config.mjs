import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

export default {
  // The packages of this repository are sources, above this folder.
  turbopack: { root },
  outputFileTracingRoot: root,
  // The repository's compiler has checked these files.
  typescript: { ignoreBuildErrors: true },
}
