import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { judge, questions, subjectOf, type Verdict } from '@mppkit/testing/conform'
import { afterEach, expect, test } from 'vitest'

let server: Server
afterEach(() => stop())

function stop(): void {
  server.close()
  server.closeAllConnections()
}

/** Asks one question of a server that is killed by a request. */
async function askWho(dies: (request: IncomingMessage) => boolean, id: string): Promise<Verdict> {
  server = createServer((request, response) => {
    if (dies(request)) stop()
    else response.writeHead(402).end()
    request.resume()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const subject = subjectOf({
    url: `http://127.0.0.1:${port}/photo`,
    ...(id === 'huge-body' && { body: 'x' }),
    timeout: 2000,
  })
  await subject.unpaid()
  return judge(
    questions.find((question) => question.id === id)!,
    subject,
  )
}

const killers: [id: string, dies: (request: IncomingMessage) => boolean][] = [
  ['huge-body', ({ headers }) => Number(headers['content-length']) > 1_000_000],
  ['methods-guarded', ({ method }) => method === 'PROPFIND'],
  ['targets-guarded', ({ url }) => url!.endsWith('%00')],
  ['unread-body', ({ method }) => method === 'OPTIONS'],
]
for (const [id, dies] of killers)
  test(`CORE-139 a server that is killed by it does not pass ${id}`, async () => {
    expect(await askWho(() => false, id)).toMatchObject({ outcome: 'passed' })
    stop()
    expect(await askWho(dies, id)).toMatchObject({
      outcome: 'failed',
      detail: 'afterwards the server answers nobody',
    })
  })
