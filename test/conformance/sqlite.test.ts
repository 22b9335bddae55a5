// The whole suite once more for each adapter, with payments in a SQLite file.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sqliteStore } from '@mppkit/sqlite'
import { afterAll } from 'vitest'
import { serve as express } from '../../packages/adapters/express/test/serve.ts'
import { serve as hono } from '../../packages/adapters/hono/test/serve.ts'
import { handlerOf, serve } from '../../packages/server/test/lib/serve-fetch.ts'
import { testAdapter } from '../../packages/testing/src/lib/test-adapter.ts'

const folder = mkdtempSync(join(tmpdir(), 'mppkit-conformance-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const on = (name: string) => ({ store: async () => sqliteStore({ path: join(folder, `${name}.db`) }) })

testAdapter('express on sqlite', express, on('express'))
testAdapter('hono on sqlite', hono, on('hono'))
testAdapter('fetch on sqlite', (app) => serve(handlerOf(app)), on('fetch'))
