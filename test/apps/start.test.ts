import { testReadme } from './lib/readme.ts'

// That of Next is run beside its other tests: it needs the build.
for (const name of ['express', 'hono', 'elysia', 'fastify']) testReadme(name)
