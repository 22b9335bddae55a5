/**
 * Makes `app.get('/photo', handler, mpp.charge)`, without a price, fail: a function is an object, and to Elysia one
 * without hooks.
 */
export function uncalled<Create extends (options: never) => { charge: object }>(create: Create): Create {
  return ((options: never) => {
    const mpp = create(options)
    Object.assign(mpp.charge, { beforeHandle: refuse })
    return mpp
  }) as Create
}

function refuse(): never {
  throw new TypeError(
    "mppkit: mpp.charge was mounted in place of what it makes. Call it: mpp.charge({ amount: '0.01' })",
  )
}
