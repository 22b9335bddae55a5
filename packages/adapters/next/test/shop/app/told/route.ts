import { ledger } from '../../lib/mpp.ts'
import { told } from '../../lib/told.ts'

/** For the test: what has happened so far. */
export const dynamic = 'force-dynamic'

export async function GET(): Promise<Response> {
  return Response.json({ told, transfers: (await ledger.transfers()).length })
}
