import { payment } from '@mppkit/next'
import { mpp } from '../../../lib/mpp.ts'

const VERSION = 'first'

export const GET = mpp.charge({ amount: '0.01' })(async (
  request,
  { params }: { params: Promise<{ id: string }> },
) => {
  const { payer, attempt } = payment(request)
  return Response.json({
    id: (await params).id,
    size: request.nextUrl.searchParams.get('size'),
    payer,
    attempt,
    VERSION,
  })
})
