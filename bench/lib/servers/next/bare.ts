import { CONTENT } from '../../peers.ts'

/** Looks at the request, as a gate does: Next would answer in advance for a route that does not. */
export async function GET(request: Request): Promise<Response> {
  request.headers.get('authorization')
  return Response.json(CONTENT)
}
