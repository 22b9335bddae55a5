import { serve } from '../../adapters/hono/test/serve.ts'
import { testAdapter } from '../src/test-adapter.ts'
testAdapter('hono', serve)
