// bun bun-targets.js: what a fetch handler sees of a request target, on Bun.
import assert from 'node:assert'
import { connect } from 'node:net'

const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: (request) => new Response(request.url) })

const ask = (target) =>
  new Promise((resolve) => {
    let got = ''
    const socket = connect(server.port, '127.0.0.1', () => {
      socket.write(`GET ${target} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n`)
    })
    socket.on('data', (bytes) => (got += bytes)).on('close', () => resolve(got.split('\r\n\r\n')[1]))
  })

assert.equal(await ask('/cheap/../dear'), 'http://here/dear')
assert.equal(await ask('/cheap\\x'), 'http://here/cheap/x')
assert.equal(await ask('http://other.example/dear'), 'http://here/dear')
process.exit(0)
