/** The version of the table that this package reads and writes. */
export const schemaVersion = 1

/** The table's comment says which version of the schema it has. */
export const schemaMark = 'mppkit schema '

/**
 * The statements that make the store's table, for those who run their own migrations: what `migrate()` sends.
 *
 * Running them again changes nothing, and several processes may do so at once. They belong into one transaction.
 *
 * @param table As in `postgresStore`: a name, or a schema and a name with a dot between them; `mppkit_entries` if absent.
 * @throws `TypeError` for a name that it would not quote.
 */
export function postgresSchema(table = 'mppkit_entries'): string {
  const { name, quoted } = parseTable(table)
  // Two CREATE TABLE IF NOT EXISTS at once can fail on a unique index of the catalog, hence the lock; the notices of the
  // one that finds everything made are nobody's business.
  return `SELECT set_config('client_min_messages', 'warning', true);
SELECT pg_advisory_xact_lock(hashtextextended('mppkit ${quoted}', 0));
CREATE TABLE IF NOT EXISTS ${quoted} (
  key text COLLATE "C" PRIMARY KEY,
  value text NOT NULL,
  sequence bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  expires timestamptz NOT NULL,
  leased_until timestamptz,
  queue text COLLATE "C",
  due timestamptz
);
CREATE INDEX IF NOT EXISTS "${name}_expires" ON ${quoted} (expires);
CREATE INDEX IF NOT EXISTS "${name}_due" ON ${quoted} (queue, due, sequence) WHERE queue IS NOT NULL;
COMMENT ON TABLE ${quoted} IS '${schemaMark}${schemaVersion}';
`
}

/** @throws `TypeError` for a name that could not be quoted safely, or whose indexes would have names that PostgreSQL cuts off. */
export function parseTable(table: string): { name: string; quoted: string } {
  const parts = typeof table === 'string' ? table.split('.') : []
  if (parts.length < 1 || parts.length > 2 || !parts.every((part) => /^[a-z_][a-z0-9_]{0,49}$/i.test(part))) {
    throw new TypeError(
      "postgresStore: `table` must be a name of letters, digits and '_' with at most 50 characters, or two of them as 'schema.name'",
    )
  }
  return { name: parts.at(-1)!, quoted: parts.map((part) => `"${part}"`).join('.') }
}
