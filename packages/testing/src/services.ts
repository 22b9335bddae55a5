/** A server of a database on this machine, on a free loopback port, with data of its own. Gone when stopped, or with this process. */
export interface LocalService {
  /** How a client reaches it, e.g. `redis://127.0.0.1:41234`. The same for as long as it lives, through every restart. */
  url: string
  port: number
  /** SIGKILL, as a crash does it; what was acknowledged must be there after `start`. */
  kill(): Promise<void>
  /** Starts it again after `kill`, on the same port and data; resolves when it answers. */
  start(): Promise<void>
  /** SIGSTOP: connections stay open and nothing answers. */
  pause(): void
  /** SIGCONT. */
  resume(): void
  /** Ends it and removes its data. */
  stop(): Promise<void>
}

export { findRedis, startRedis } from './lib/redis-server.ts'
export { findPostgres, startPostgres } from './lib/postgres-server.ts'
