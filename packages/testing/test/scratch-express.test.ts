import { serve } from '../../adapters/express/test/serve.ts'
import { testAdapter } from '../src/test-adapter.ts'
testAdapter('express', serve)
