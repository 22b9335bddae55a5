// What a Worker sees of an absolute request target; `?sockets=` names a port of workerd's own that leads to `app0`.
import { connect } from 'cloudflare:sockets'

export const app0 = { fetch: (request) => new Response(request.url) }
export const [app1, app2, app3] = [app0, app0, app0]

export default {
  async fetch(request) {
    const port = Number.parseInt(new URL(request.url).searchParams.get('sockets'))
    const socket = connect({ hostname: '127.0.0.1', port })
    const writer = socket.writable.getWriter()
    await writer.write(
      new TextEncoder().encode(
        'GET http://other.example/dear HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n',
      ),
    )
    const [, url] = (await new Response(socket.readable).text()).split('\r\n\r\n')
    return new Response(url, { status: url.includes('http://here/dear') ? 200 : 500 })
  },
}
