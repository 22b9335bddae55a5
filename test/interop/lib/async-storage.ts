import { AsyncLocalStorage } from 'node:async_hooks'

// Next takes it from here. Its server puts it here, too late for those who import from Next before they start one.
Object.assign(globalThis, { AsyncLocalStorage })
