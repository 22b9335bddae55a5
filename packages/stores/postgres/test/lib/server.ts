import { afterAll, beforeAll, describe } from 'vitest'
import { findPostgres, startPostgres, type LocalService } from '../../../../testing/src/services.ts'

const reason = findPostgres() === undefined ? ' (skipped: PostgreSQL is not installed on this machine)' : ''

/** A suite with a server of its own. */
export function describeWithServer(title: string, questions: (server: () => LocalService) => void): void {
  describe.skipIf(reason !== '')(`${title}${reason}`, () => {
    let server: LocalService
    beforeAll(async () => {
      server = await startPostgres()
    })
    afterAll(() => server?.stop())
    questions(() => server)
  })
}

export const kinds = ['pg', 'postgres.js'] as const
