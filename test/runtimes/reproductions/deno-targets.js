// deno run -A deno-targets.js: what a handler sees of an absolute request target, on Deno.
import assert from 'node:assert'
import { connect } from 'node:net'

const server = Deno.serve({ port: 0, hostname: '127.0.0.1' }, (request) => new Response(request.url))

const ask = (target, host) =>
  new Promise((resolve) => {
    let got = ''
    const socket = connect(server.addr.port, '127.0.0.1', () => {
      socket.write(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    })
    socket.on('data', (bytes) => (got += bytes)).on('close', () => resolve(got.split('\r\n\r\n')[1]))
  })

assert.equal(await ask('/dear', 'here'), 'http://here/dear')
assert.equal(await ask('http://here/dear', 'here'), 'http://here/dear')
Deno.exit(0)
