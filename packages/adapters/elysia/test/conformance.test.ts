import { testAdapter } from '../../../testing/src/lib/test-adapter.ts'
import { serve } from './serve.ts'

testAdapter('elysia', serve)
