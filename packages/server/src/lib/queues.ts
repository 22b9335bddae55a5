import type { Entry, Store, Write } from '@mppkit/core'

/** Entries that recovery has to look at. Of one realm: servers that share a store must not recover each other's payments. */
export function paymentsQueue(realm: string): string {
  return `mppkit:payments:${realm}`
}

/** Refunds that were made, and that the operator has yet to be told of. */
export function refundedQueue(realm: string): string {
  return `mppkit:refunded:${realm}`
}

/** Payments that have become unclaimed, which the operator has yet to be told of. */
export function untoldQueue(realm: string): string {
  return `mppkit:untold:${realm}`
}

/** Money that nobody got anything for, until the operator decides. */
export function unclaimedQueue(realm: string): string {
  return `mppkit:unclaimed:${realm}`
}

/** Puts what nobody can do anything with behind the others of its queue. Does nothing if it has been moved on already. */
export async function putBehind(
  store: Store,
  { key, version, value }: Entry,
  due: NonNullable<Write['due']>,
): Promise<void> {
  await store.swap(key, version, { value, ttl: 'forever', due })
}
