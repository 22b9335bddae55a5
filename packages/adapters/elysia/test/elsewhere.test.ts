import { askSeam } from '../../node/test/lib/ask-seam.ts'
import { testAdapter } from '../../../testing/src/lib/test-adapter.ts'
import type { Serve } from '../../../testing/src/lib/adapter-app.ts'
import { serve as serveFetch } from '../../../server/test/lib/serve-fetch.ts'
import { mount } from './serve.ts'

const NORMALISED = 'the URL of a bare Request was normalised before Elysia routed it'

/** As on Bun: a bare `Request`, and a server that knows the address it came from, but not what became of an answer. */
const serve: Serve = (app) => {
  const elysia = mount(app)
  elysia.server = {
    requestIP: () => ({ address: '127.0.0.1', family: 'IPv4', port: 1 }),
    url: new URL('http://127.0.0.1'),
  } as never
  return serveFetch((request) => elysia.fetch(request))
}

askSeam('elysia elsewhere', serve, { normalises: true, blind: true, early: true })
testAdapter('elysia elsewhere', serve, {
  expectedFailures: {
    'dotted-targets': NORMALISED,
    'absolute-targets': NORMALISED,
  },
})
