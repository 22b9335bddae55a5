/** What is used of an ioredis client: `new Redis(…)` (also with Sentinels) or `new Redis.Cluster(…)`. */
export interface IoredisClient {
  readonly status: string
  call(command: string, ...args: string[]): Promise<unknown>
  pipeline(commands: string[][]): { exec(): Promise<[error: Error | null, result: unknown][] | null> }
}

/** What is used of a node-redis client: `createClient(…)`. */
export interface NodeRedisClient {
  readonly isOpen: boolean
  sendCommand(args: string[], options?: { timeout?: number }): Promise<unknown>
}

/** What is used of a node-redis client: `createCluster(…)`. */
export interface NodeRedisCluster {
  readonly isOpen: boolean
  readonly slots: readonly unknown[]
  sendCommand(
    firstKey: string | undefined,
    isReadonly: boolean | undefined,
    args: string[],
    options?: { timeout?: number },
  ): Promise<unknown>
}

/** The few verbs that the store needs, whatever the client. */
export interface Wire {
  /** Where the server is, without user name and password. */
  readonly address: string
  /** Sends one command to the primary that owns `key`. */
  send(key: string, args: string[]): Promise<unknown>
  /** Sends one command, and WAIT right behind it on the same connection. Missing where that cannot be had. */
  sendAndWait?(args: string[], count: number, timeout: number): Promise<[reply: unknown, replicas: number]>
}

/**
 * Tells the client by its shape.
 *
 * @param timeout Milliseconds after which a command that was not sent yet need not be sent any more.
 * @throws `TypeError` for anything else.
 */
export function wireOf(client: unknown, timeout: number): Wire {
  const shape = client as Record<string, unknown> | null | undefined
  if (typeof shape !== 'object' || shape === null) throw new TypeError(remedy)
  const address = addressOf(shape)
  if (typeof shape['call'] === 'function' && typeof shape['status'] === 'string') {
    return ioredis(client as IoredisClient, address)
  }
  const isNodeRedis = typeof shape['sendCommand'] === 'function' && typeof shape['isOpen'] === 'boolean'
  if (!isNodeRedis || 'totalClients' in shape || 'getSentinelNode' in shape) throw new TypeError(remedy)
  return Array.isArray(shape['slots'])
    ? nodeRedisCluster(client as NodeRedisCluster, address, timeout)
    : nodeRedis(client as NodeRedisClient, address, timeout)
}

const remedy =
  'redisStore: `client` must be an ioredis client (new Redis(…) or new Redis.Cluster(…)) or one of node-redis ' +
  '(createClient(…) or createCluster(…); no pool, and for Sentinels take ioredis)'

function ioredis(client: IoredisClient, address: string): Wire {
  return {
    address,
    send: (_key, [command, ...args]) => client.call(command!, ...args),
    // A pipeline goes to one node in one piece, also in a cluster, where a WAIT of its own could go anywhere.
    async sendAndWait([command, ...args], count, timeout) {
      // It looks a command up among its own methods, by the name in small letters.
      const commands = [
        [command!.toLowerCase(), ...args],
        ['wait', `${count}`, `${timeout}`],
      ]
      const results = await client.pipeline(commands).exec()
      const [first, second] = results ?? []
      if (first === undefined || second === undefined) throw new Error('the pipeline was not executed')
      if (first[0]) throw first[0]
      if (second[0]) throw second[0]
      return [first[1], Number(second[1])]
    },
  }
}

function nodeRedis(client: NodeRedisClient, address: string, timeout: number): Wire {
  return {
    address,
    send: (_key, args) => client.sendCommand(args, { timeout }),
    // Handed over at once, so that nothing comes between them and no other connection is taken for the second.
    async sendAndWait(args, count, most) {
      const [reply, replicas] = await Promise.all([
        client.sendCommand(args, { timeout }),
        client.sendCommand(['WAIT', `${count}`, `${most}`], { timeout }),
      ])
      return [reply, Number(replicas)]
    },
  }
}

function nodeRedisCluster(client: NodeRedisCluster, address: string, timeout: number): Wire {
  return {
    address,
    send: (key, args) => client.sendCommand(key, false, args, { timeout }),
  }
}

interface Named {
  host?: string
  port?: number | string
  path?: unknown
  url?: unknown
  socket?: Named
}

/** Clients keep their options in several ways; none of what is read here is a secret. */
function addressOf(client: Record<string, unknown>): string {
  const nodes =
    client['startupNodes'] ?? (client['_options'] as { rootNodes?: unknown } | undefined)?.rootNodes
  if (Array.isArray(nodes)) return nodes.map((node) => nameOf(node)).join(', ')
  const options = client['options'] as (Named & { sentinels?: unknown; name?: unknown }) | undefined
  if (Array.isArray(options?.sentinels)) return `Sentinel group ${String(options.name)}`
  return nameOf(options)
}

function nameOf(node: unknown): string {
  if (typeof node === 'number') return `redis://localhost:${node}`
  if (typeof node === 'string') return withoutSecrets(node)
  const { host, path, port, socket, url } = (node ?? {}) as Named
  if (socket !== undefined && (socket.host ?? socket.path ?? socket.port) !== undefined) return nameOf(socket)
  if (typeof url === 'string') return withoutSecrets(url)
  if (typeof path === 'string') return path
  return `redis://${host ?? 'localhost'}:${port ?? 6379}`
}

function withoutSecrets(address: string): string {
  const [, scheme = 'redis://', rest = ''] = /^([a-z]+:\/\/)?(.*)$/s.exec(address) ?? []
  const host = rest.slice(rest.lastIndexOf('@') + 1)
  // With a ? or # before the last @, either side of it may be part of a password.
  if (host !== rest && /[?#]/.test(rest.slice(0, -host.length))) return `${scheme}(withheld)`
  return scheme + host.replace(/[?#].*$/s, '')
}
