/**
 * Judges what a server says of itself in the sections `replication` and `memory` of INFO. What it does not say,
 * because it may not be asked, is not judged.
 *
 * @throws `Error` that names the address, for a replica and for a server that may evict entries.
 */
export function refuseUnfit(address: string, replication: string, memory: string): void {
  const role = fieldOf(replication, 'role')
  if (role !== undefined && role !== 'master') {
    throw new Error(
      `redisStore: ${address} is a replica. What it shows may be old, and a spent payment could look unspent: ` +
        'connect to the primary',
    )
  }
  const policy = fieldOf(memory, 'maxmemory_policy')
  if (policy !== undefined && policy !== 'noeviction') {
    throw new Error(
      `redisStore: ${address} has maxmemory-policy ${policy}. It may forget what was paid when its memory is full: ` +
        'set maxmemory-policy noeviction, or use a Redis of its own for payments',
    )
  }
}

function fieldOf(section: string, name: string): string | undefined {
  return new RegExp(`^${name}:(.*?)\\s*$`, 'm').exec(section)?.[1]
}
