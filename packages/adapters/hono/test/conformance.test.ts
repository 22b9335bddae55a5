import { testAdapter } from '../../../testing/src/test-adapter.ts'
import { serve } from './serve.ts'

testAdapter('hono', serve)
