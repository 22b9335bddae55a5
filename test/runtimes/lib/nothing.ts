/** Stands in for what a runtime other than Node never calls. */
export function createAdaptorServer(): never {
  throw new Error('this server is for Node only')
}
