import { memoryStore } from '@mppkit/server'
import { options as good } from './good.ts'

/** Payments that are forgotten at the next restart. */
export const options = { ...good, store: memoryStore() }
