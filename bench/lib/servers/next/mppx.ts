import { CONTENT } from '../../peers.ts'
import { chargeOf, theirOptions } from '../peer.ts'

type Handler = (request: Request) => Promise<Response>
type Guard = (handler: Handler) => Handler

const guarded = guard()

export async function GET(request: Request): Promise<Response> {
  return (await guarded)(request)
}

async function guard(): Promise<Handler> {
  const { Mppx } = await import('mppx/nextjs')
  return chargeOf<Guard>(Mppx.create(await theirOptions()))(async () => Response.json(CONTENT))
}
