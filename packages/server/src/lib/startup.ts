import type { Entry, Store } from '@mppkit/core'
import { hash, randomText } from './runtime.ts'

/** What two servers of one realm must have in common. Printable: fingerprints, no secrets. */
export interface Standing {
  /** Names the store's data: another id means that the servers do not share what has been paid. */
  store: string
  /** One for each secret, in the order in which they are given. */
  secrets: string[]
}

interface StartupOptions {
  realm: string
  store: Store
  secrets: readonly string[]
}

/** Looks, before there is traffic, whether payments can be taken. */
export function createCheck({
  realm,
  store,
  secrets,
}: StartupOptions): (options?: { secrets?: 'replaced' }) => Promise<Standing> {
  const key = `server:${realm}`

  return async (options) => {
    await store.check?.()
    const own = await Promise.all(secrets.map(fingerprint))
    for (let round = 0; round < 10; round++) {
      const entry = await store.get(key)
      const known = entry && parse(entry)
      const fault = known && faultBetween(own, known.secrets)
      if (fault !== undefined && options?.secrets !== 'replaced')
        throw new Error(
          `mppkit: another server of the realm ${JSON.stringify(realm)} keeps its payments in this store and ${fault}. Give both the same ` +
            'secret; to rotate, give all of them [old, new] first, then [new, old], then [new]. Where all of them have ' +
            "a new one, because the old one is known to others: check({ secrets: 'replaced' })",
        )
      const standing = { store: known?.store ?? randomText(), secrets: own }
      const value = JSON.stringify(standing)
      if (value === entry?.value) return standing
      const written = await store.swap(key, entry?.version ?? 'absent', { value, ttl: 'forever' })
      if (written.ok) return standing
    }
    throw new Error('mppkit: the store does not hold still: ten swaps on one key were refused')
  }
}

/** The first of each list signs: whoever does not have it takes no credential of that server, and asks to be paid again. */
function faultBetween(own: string[], known: string[]): string | undefined {
  if (!known.some((each) => own.includes(each)))
    return 'signs with none of the secrets that this one has, so neither takes what the other has asked for'
  if (!known.includes(own[0]!)) return 'does not have the secret that this one signs with'
  return own.includes(known[0]!) ? undefined : 'signs with a secret that this one does not have'
}

async function fingerprint(secret: string): Promise<string> {
  return (await hash(`mppkit fingerprint of a secret|${secret}`)).slice(0, 12)
}

function parse(entry: Entry): Standing {
  return JSON.parse(entry.value) as Standing
}
