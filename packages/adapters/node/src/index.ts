export { readBody, remember } from './lib/body.ts'
export { incoming, isGone } from './lib/incoming.ts'
export { discard, send } from './lib/send.ts'
export { watch } from './lib/watch.ts'
