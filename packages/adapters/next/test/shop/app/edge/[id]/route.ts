import { payment } from '@mppkit/next'
import { after } from 'next/server.js'
import { mpp } from '../../../lib/mpp.ts'

export const runtime = 'edge'

export const GET = mpp.charge({ amount: '0.01' })(async (
  request,
  { params }: { params: Promise<{ id: string }> },
) => {
  const { id } = await params
  after(() => console.log('after on the edge'))
  if (id === 'slow') await new Promise((resolve) => setTimeout(resolve, 400))
  return Response.json({ id, attempt: payment(request).attempt })
})

export const POST = mpp.charge({ amount: '0.01' })(async (request) =>
  Response.json({ body: await request.text(), path: request.nextUrl.pathname }),
)
