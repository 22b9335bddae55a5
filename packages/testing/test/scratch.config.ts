import { defineConfig } from 'vitest/config'
export default defineConfig({ root: '/work/main', resolve: { alias: { '@mppkit/server': '/work/main/packages/testing/test/scratch-shim.ts' } }, test: { include: ['packages/**/test/**/*.test.ts'], exclude: ['**/node_modules/**'], testTimeout: 20000, hookTimeout: 30000 } })
