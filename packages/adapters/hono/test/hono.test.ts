import { askSeam } from '../../node/test/lib/ask-seam.ts'
import { serve } from './serve.ts'

askSeam('hono', serve, { normalises: true })
