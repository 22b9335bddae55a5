import { answer } from '../../../lib/answers.ts'

type Context = { params: Promise<{ kind: string }> }

export async function GET(_request: Request, { params }: Context): Promise<Response> {
  return answer((await params).kind)
}
export const POST = GET
