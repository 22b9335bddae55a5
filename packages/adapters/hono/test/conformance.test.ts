import { testAdapter } from '../../../testing/src/test-adapter.ts'
import { serve } from './serve.ts'

const parsed =
  'Hono routes on a URL: the target is normalised before the router and the gate see it; both see the same'
testAdapter('hono', serve, { expectedFailures: { 'dotted-targets': parsed, 'absolute-targets': parsed } })
