/** What a server says of itself in these sections of INFO. */
export interface Said {
  replication: string
  memory: string
  persistence: string
}

/**
 * Judges what a server says of itself. What it does not say, because it may not be asked, is not judged.
 *
 * @param copied Whether a write is acknowledged only when replicas have it.
 * @throws `Error` that names the address, for a replica, for a server that may evict entries, and for one that keeps
 * them in its memory alone.
 */
export function refuseUnfit(
  address: string,
  { replication, memory, persistence }: Said,
  copied: boolean,
): void {
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
  if (!copied && fieldOf(persistence, 'aof_enabled') === '0') {
    throw new Error(
      `redisStore: ${address} has appendonly no. A restart would forget who has paid since the last snapshot: set ` +
        'appendonly yes and appendfsync always, or wait for replicas with `waitReplicas`',
    )
  }
}

function fieldOf(section: string, name: string): string | undefined {
  return new RegExp(`^${name}:(.*?)\\s*$`, 'm').exec(section)?.[1]
}
