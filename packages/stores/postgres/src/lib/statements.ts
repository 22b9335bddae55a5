// Every parameter is sent and every column read as text, so that no client's own parsers and serialisers come between.

/** The SQL of a store on `table`, a quoted name. The columns of an entry are key, value, version and leased. */
export function statementsFor(table: string) {
  /** The row of $1 under its lock, expired or not. */
  const locked = `SELECT key, value, sequence, expires, leased_until, due FROM ${table} WHERE key = $1::text FOR UPDATE`

  return {
    /** $1 key. One row: `standby`, and the entry or nulls. */
    read: `SELECT ${standby}, ${entryOf('held', 'statement_timestamp()')}
      FROM (SELECT) AS asked LEFT JOIN ${table} AS held
        ON held.key = $1::text AND held.expires > statement_timestamp()`,

    /** $1 queue, $2 limit, $3 and $4 due and sequence of the place to go on from, or null. At least one row, as above. */
    list: `SELECT ${standby}, listed.key, listed.value, listed.version, listed.leased
      FROM (SELECT) AS asked LEFT JOIN (
        SELECT ${entryOf('held', 'statement_timestamp()')}, held.due, held.sequence FROM ${table} AS held
        WHERE held.queue = $1::text AND held.due <= statement_timestamp() AND held.expires > statement_timestamp()
          AND (held.due, held.sequence) > (
            coalesce('epoch'::timestamptz + ${microseconds(3)}, '-infinity'), coalesce($4::text::bigint, 0)
          )
        ORDER BY held.due, held.sequence LIMIT $2::text::bigint
      ) AS listed ON true
      ORDER BY listed.due, listed.sequence`,

    /**
     * $1 key, $2 value, $3 to $6 the terms of the write. No row if an entry stands there. The conflict is judged on the
     * newest row, seen by this statement or not, under its lock: it is replaced only if it has expired by then.
     */
    claim: `INSERT INTO ${table} AS held (key, value, expires, leased_until, queue, due)
      VALUES ($1::text, $2::text, ${terms.expires}, ${terms.leasedUntil}, ${terms.queue}, ${terms.due})
      ON CONFLICT (key) DO UPDATE SET ${written} WHERE held.expires <= clock_timestamp()
      RETURNING ${versionOf('held')}`,

    /**
     * $1 key, $2 value, $3 to $6 the terms of the write, $7 the version expected. The row is locked first and judged then:
     * neither its expiry nor the new lease is measured from before the wait for others. One row says `done` and how it
     * stands now; none if nothing stands there.
     */
    replace: `WITH held AS MATERIALIZED (${locked}), done AS (
        UPDATE ${table} AS entry SET ${written} FROM held
        WHERE entry.key = held.key AND ${versionOf('held')} = $7::text AND held.expires > clock_timestamp()
        RETURNING ${versionOf('entry')} AS version
      ) ${verdict}`,

    /** $1 key, $2 the version expected. Judged and answered as `replace`. */
    remove: `WITH held AS MATERIALIZED (${locked}), done AS (
        DELETE FROM ${table} AS entry USING held
        WHERE entry.key = held.key AND ${versionOf('held')} = $2::text AND held.expires > clock_timestamp()
        RETURNING $2::text AS version
      ) ${verdict}`,

    /**
     * $1 limit. Waits for no lock, and so is no part of a deadlock. A row that has come to life again since it was seen is
     * judged again under its lock.
     */
    sweep: `WITH dead AS MATERIALIZED (
        SELECT key FROM ${table} WHERE expires <= statement_timestamp()
        ORDER BY expires LIMIT $1::text::bigint FOR UPDATE SKIP LOCKED
      ), gone AS (
        DELETE FROM ${table} AS entry USING dead WHERE entry.key = dead.key RETURNING 1
      ) SELECT count(*)::text FROM gone`,
  }
}

/** $1 the table's quoted name. One row: whether read-only, the setting of commits, the encoding, and what the table says of itself. */
export const checkStatement = `SELECT current_setting('transaction_read_only'),
  current_setting('synchronous_commit'), current_setting('server_encoding'),
  (to_regclass($1::text) IS NOT NULL)::text, obj_description(to_regclass($1::text), 'pg_class')`

// A standby would answer from the past, and a pool or a proxy may send what only reads to one.
const standby = 'pg_is_in_recovery()::text AS standby'

const microseconds = (parameter: number) => `$${parameter}::text::float8 * interval '1 microsecond'`

/** $3 ttl or null, $4 lease or null, $5 queue or null, $6 due or null; all times in microseconds from now. */
const terms = {
  expires: `coalesce(clock_timestamp() + ${microseconds(3)}, 'infinity')`,
  leasedUntil: `clock_timestamp() + ${microseconds(4)}`,
  queue: '$5::text',
  due: `clock_timestamp() + ${microseconds(6)}`,
}

// DEFAULT draws the next number of the sequence, which never gives out one twice, even after a delete.
const written = `value = $2::text, sequence = DEFAULT, expires = ${terms.expires},
  leased_until = ${terms.leasedUntil}, queue = ${terms.queue}, due = ${terms.due}`

const verdict = `SELECT 'true' AS done, null AS key, null AS value, version, null AS leased FROM done
  UNION ALL
  SELECT 'false', ${entryOf('held', 'clock_timestamp()')} FROM held
  WHERE held.expires > clock_timestamp() AND NOT EXISTS (SELECT FROM done)`

function entryOf(row: string, clock: string): string {
  return `${row}.key, ${row}.value, ${versionOf(row)} AS version, (${row}.leased_until > ${clock})::text AS leased`
}

/** The due time is part of the version, so that `after` keeps its place even when its entry is gone. */
function versionOf(row: string): string {
  return `${row}.sequence::text || coalesce('.' || (extract(epoch FROM ${row}.due) * 1000000)::bigint::text, '')`
}
