import { NextRequest } from 'next/server.js'
import { apiOf, askDiscovery, guardsOf } from '../../../server/test/lib/discovery.ts'
import { createMpp } from '../src/index.ts'

askDiscovery('next', async (options) => {
  // lib/mpp.ts: prices that routes and description share.
  const mpp = createMpp(options)
  const guards = guardsOf(mpp)
  const api = mpp.openapi(apiOf(guards))
  const sold = (): Response => new Response('sold')
  // app/<name>/route.ts
  const files: Record<string, object> = {
    'openapi.json': { GET: () => Response.json(api.document, { headers: api.headers }) },
    'llms.txt': { GET: () => new Response(api.llms, { headers: api.headers }) },
    constant: { GET: guards.constant(sold) },
    told: { GET: guards.told(sold) },
    overridden: { POST: guards.overridden(sold) },
    withheld: guards.withheld.all({ GET: sold }),
    identity: { GET: guards.identity(sold) },
    page: { GET: guards.page(sold) },
    computed: { GET: guards.computed(sold) },
    free: { GET: () => new Response('pong') },
  }
  return {
    async ask(path, init = {}) {
      const file = files[path.split(/[/?]/)[1]!] as Record<
        string,
        (request: NextRequest, context: object) => Response
      >
      const request = new NextRequest(`http://localhost${path}`, init as object)
      return file[init.method ?? 'GET']!(request, { params: Promise.resolve({ id: '7' }) })
    },
    close: mpp.close,
  }
})
