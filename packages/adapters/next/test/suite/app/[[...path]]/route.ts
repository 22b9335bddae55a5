import { NextResponse, type NextRequest } from 'next/server.js'
import { handlerFor } from '../../lib/mount.ts'
import { registry } from '../../lib/registry.ts'

async function handle(request: NextRequest): Promise<Response> {
  const app = registry()?.apps.get(request.headers.get('x-suite-app') ?? '')
  if (!app) return NextResponse.json({ plain: request.url })
  return handlerFor(app, request)(request)
}

export { handle as DELETE, handle as GET, handle as OPTIONS, handle as PATCH, handle as POST, handle as PUT }
