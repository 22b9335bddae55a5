import { before, createLanes } from './lanes.ts'

/** A `Pool` of pg, as far as it is needed. */
export interface PgPool {
  readonly totalCount: number
  connect(): Promise<PgConnection & { release(error?: Error): void }>
  /** Where it connects to; only read for messages. */
  readonly options?: object
}

/** A connected `Client` of pg, as far as it is needed. */
export interface PgConnection {
  query(query: { text: string; values: (string | null)[]; rowMode: 'array' }): Promise<{ rows: unknown[][] }>
  on?(event: 'error', listener: (error: Error) => void): unknown
  off?(event: 'error', listener: (error: Error) => void): unknown
}

/** The function that postgres.js makes, as far as it is needed. */
export interface PostgresSql {
  unsafe(text: string, values: (string | null)[]): { values(): PromiseLike<ArrayLike<unknown>> }
  readonly options?: object
}

/** Columns as text. */
export type Row = (string | null)[]

/** One statement at a time to a server, over whichever connection; each is sent at most once. */
export interface Link {
  /** Rejects with `Overdue` after `ms`; the statement is then not sent any more, or its outcome is unknown. */
  run(text: string, values: (string | null)[], ms: number): Promise<Row[]>
  /** Where it leads, for messages: without user and password. */
  readonly address: string
  /** Lets go of the client, which stays open. */
  close(): void
}

/** @throws `TypeError` for something that is no client. */
export function linkTo(client: PgPool | PgConnection | PostgresSql): Link {
  // What postgres.js gives is a function; a template call on it would prepare statements, `unsafe` does not.
  if (typeof client === 'function' && typeof (client as PostgresSql).unsafe === 'function') {
    return sqlLink(client as PostgresSql)
  }
  if (typeof client === 'object' && client !== null) {
    if ('totalCount' in client && typeof client.connect === 'function') return poolLink(client)
    if ('query' in client && typeof client.query === 'function') return connectionLink(client)
  }
  throw new TypeError(
    'postgresStore: `client` must be a Pool of pg, a connected Client of pg, or what postgres() of postgres.js returned',
  )
}

function poolLink(pool: PgPool): Link {
  const release = keptAlive(pool as Partial<PgConnection>)
  return {
    address: addressOf(pool.options),
    async run(text, values, ms) {
      const end = performance.now() + ms
      const connecting = pool.connect()
      let connection: Awaited<ReturnType<PgPool['connect']>>
      try {
        connection = await before(connecting, ms)
      } catch (error) {
        // Whoever comes too late goes back unused: a statement that was given up must not be sent.
        connecting.then(
          (late) => late.release(),
          () => {},
        )
        throw error
      }
      // Without a listener, a connection that is lost now would end the process.
      connection.on?.('error', ignore)
      let fault: Error | undefined
      try {
        return rowsOf(
          await before(connection.query({ text, values, rowMode: 'array' }), end - performance.now()),
        )
      } catch (error) {
        // A statement that the server refused leaves the connection good for the next one; whatever else, it is closed.
        if ((error as { severity?: unknown }).severity !== 'ERROR') fault = error as Error
        throw error
      } finally {
        connection.release(fault)
        connection.off?.('error', ignore)
      }
    },
    close: release,
  }
}

function connectionLink(connection: PgConnection): Link {
  const lanes = createLanes(1)
  const release = keptAlive(connection)
  return {
    address: addressOf(connection),
    run: (text, values, ms) =>
      lanes.enter(async () => rowsOf(await connection.query({ text, values, rowMode: 'array' })), ms),
    close: release,
  }
}

function sqlLink(sql: PostgresSql): Link {
  const { max } = (sql.options ?? {}) as { max?: unknown }
  // What waits inside postgres.js cannot be taken back: cancelling it there may lose a connection for good, or hit another
  // statement. So nothing waits there, but here, where it can be given up unsent.
  const lanes = createLanes(typeof max === 'number' && max >= 1 ? max : 10)
  return {
    address: addressOf(sql.options),
    run: (text, values, ms) =>
      lanes.enter(async () => Array.from(await sql.unsafe(text, values).values()) as Row[], ms),
    close: () => {},
  }
}

/** A pool or client of pg without any listener ends the process when its server goes away; the statements report that by themselves. */
function keptAlive(emitter: Pick<PgConnection, 'on' | 'off'>): () => void {
  emitter.on?.('error', ignore)
  return () => void emitter.off?.('error', ignore)
}

function ignore(): void {}

/** The rows of the last statement, where there were several. */
function rowsOf(result: { rows: unknown[][] } | { rows: unknown[][] }[]): Row[] {
  const last = Array.isArray(result) ? result.at(-1) : result
  return (last?.rows ?? []) as Row[]
}

/** From the options of any of the clients, or from a client of pg itself. */
function addressOf(options: object | undefined): string {
  const { connectionString, database, host, port } = (options ?? {}) as Record<string, unknown>
  const first = (value: unknown): unknown => (Array.isArray(value) ? value[0] : value)
  if (typeof connectionString === 'string') {
    try {
      const url = new URL(connectionString)
      return `postgres://${url.host}${url.pathname}`
    } catch {
      // A socket, or a list of hosts: not worth the risk of showing what is secret in it.
    }
  }
  const place = first(host)
  if (typeof place !== 'string') return 'the server of the given client'
  return `postgres://${place}:${Number(first(port) ?? 5432)}/${typeof database === 'string' ? database : ''}`
}
