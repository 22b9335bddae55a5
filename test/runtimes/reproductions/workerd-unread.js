// What a client gets of an answer to a long body that a Worker leaves unread; `?sockets=` leads to `app0`.
import { connect } from 'cloudflare:sockets'

export const app0 = { fetch: () => new Response('too large', { status: 413 }) }
export const [app1, app2, app3] = [app0, app0, app0]
async function ask(port) {
  const socket = connect({ hostname: '127.0.0.1', port })
  const body = `1388\r\n${'x'.repeat(5000)}\r\n`.repeat(2000)
  const text = `POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n${body}0\r\n\r\n`
  const writer = socket.writable.getWriter()
  await writer.write(new TextEncoder().encode(text)).catch(() => {})
  return new Response(socket.readable).text().catch((error) => `${error}`)
}
export default {
  async fetch(request) {
    const port = Number.parseInt(new URL(request.url).searchParams.get('sockets'))
    const got = await Promise.all(Array.from({ length: 20 }, () => ask(port)))
    return new Response('', { status: got.every((text) => text.startsWith('HTTP/1.1 413')) ? 500 : 200 })
  },
}
