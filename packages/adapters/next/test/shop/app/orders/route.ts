import { NextResponse, type NextRequest } from 'next/server.js'
import { mpp } from '../../lib/mpp.ts'

async function list(): Promise<Response> {
  return NextResponse.json(['first'])
}

async function order(request: NextRequest): Promise<Response> {
  const copy = request.clone()
  const body: unknown = await request.json()
  return NextResponse.json(
    {
      body,
      again: await copy.text(),
      used: request.bodyUsed,
      path: request.nextUrl.pathname,
      cookie: request.cookies.get('basket')?.value,
    },
    { status: 201 },
  )
}

async function upload(request: Request): Promise<Response> {
  const form = await request.formData()
  return NextResponse.json({ name: form.get('name') })
}

export const { GET, POST, PUT, OPTIONS } = mpp
  .charge({ amount: '5' })
  .all({ GET: list, POST: order, PUT: upload })
