import { cookies } from 'next/headers.js'
import { forbidden, notFound, permanentRedirect, redirect, unauthorized } from 'next/navigation'
import { after, NextResponse } from 'next/server.js'
import { told } from './told.ts'

/** One way to answer by each name, guarded in one route and free in another. */
export async function answer(kind: string): Promise<Response> {
  ;(await cookies()).set('seen', kind)
  after(() => void told.push(`after ${kind}`))
  switch (kind) {
    case 'redirect':
      return redirect('/told?a;b')
    case 'permanent':
      return permanentRedirect('/told')
    case 'missing':
      return notFound()
    case 'forbidden':
      return forbidden()
    case 'unauthorized':
      return unauthorized()
    case 'next':
      return NextResponse.next()
    case 'rewrite':
      return NextResponse.rewrite('http://localhost/told')
    case 'nothing':
      return undefined as never
    case 'throw':
      throw new Error('thrown by the handler')
    case 'json':
      return NextResponse.json({ kind })
    default:
      return NextResponse.redirect('http://localhost/told', 303)
  }
}
