const process_ = globalThis as { shopTold?: string[] }

/** What handlers have to tell the test. */
export const told = (process_.shopTold ??= [])
