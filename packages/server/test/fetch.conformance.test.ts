import { askSeam } from '../../adapters/node/test/lib/ask-seam.ts'
import { testAdapter } from '../../testing/src/lib/test-adapter.ts'
import { handlerOf, serve } from './lib/serve-fetch.ts'

testAdapter('fetch', (app) => serve(handlerOf(app)))
askSeam('fetch', (app) => serve(handlerOf(app)))
// As on a runtime that shows neither its sockets nor what became of an answer.
askSeam('fetch alone', (app) => serve((request) => handlerOf(app)(request)), {
  normalises: true,
  blind: true,
})
