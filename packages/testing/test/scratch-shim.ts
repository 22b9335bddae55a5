export * from '../../server/src/index.ts'
export { transportOf } from '../../server/src/lib/fetch.ts'
