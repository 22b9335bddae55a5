import { Overdue } from './lanes.ts'

/** What can be wrong with a database, in words that say what to do. None of them shows a user, a password or a value. */
export function createFaults(address: string, table: string) {
  const error = (text: string, options?: ErrorOptions) =>
    new Error(`postgresStore: ${address}: ${text}`, options)
  const missing = (options?: ErrorOptions) =>
    error(
      `there is no table ${table}; call migrate() before the first payment, or run postgresSchema() yourself`,
      options,
    )

  /** A failed statement. */
  function failed(cause: unknown): Error {
    if (cause instanceof Overdue) return error('no answer in time; what was asked may have been done')
    const plain = plainOf(cause)
    if (plain.code === undefinedTable) return missing({ cause: plain })
    if (plain.code === readOnlyTransaction) return standby({ cause: plain })
    return error(plain.message, { cause: plain })
  }

  const standby = (options?: ErrorOptions) =>
    error('this is a standby or read-only; connect to the primary', options)

  return Object.assign(failed, {
    missing,
    standby,
    forgetful: () =>
      error(
        "synchronous_commit is off, so a crash forgets payments; set it on for the database user: ALTER ROLE … SET synchronous_commit = 'on'",
      ),
    encoding: (name: string) => error(`the database is in ${name}; make one with ENCODING 'UTF8'`),
    schema: (version: number) =>
      version === 0
        ? error(`the table ${table} is not ours or not finished; call migrate(), or name another table`)
        : error(`the table ${table} has schema ${version}, made by another version of @mppkit/postgres`),
  })
}

const undefinedTable = '42P01'
const readOnlyTransaction = '25006'

/** Without what clients attach: the statement's parameters, which are payments, and the rows that the server shows. */
function plainOf(cause: unknown): Error & { code?: string } {
  const { code, stack } = cause as { code?: unknown; stack?: unknown }
  return Object.assign(
    new Error(messageOf(cause)),
    typeof code === 'string' && { code },
    typeof stack === 'string' && { stack },
  )
}

/** Where a host has several addresses, Node's own error says nothing but in its parts. */
function messageOf(cause: unknown): string {
  const { code, errors, message } = cause as { code?: unknown; errors?: unknown; message?: unknown }
  if (typeof message === 'string' && message !== '') return message
  if (Array.isArray(errors) && errors.length > 0) return messageOf(errors[0])
  return typeof code === 'string' ? code : 'unknown error'
}
