import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../../../../../', import.meta.url))

export default {
  // The gates come from the suite, and must know the classes of what the adapter throws: both use one copy of the server.
  turbopack: { root, resolveAlias: { '@mppkit/server': './lib/server.ts' } },
  outputFileTracingRoot: root,
  // The repository's compiler has checked these files.
  typescript: { ignoreBuildErrors: true },
  compress: false,
}
