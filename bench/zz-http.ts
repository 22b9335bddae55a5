import { start } from './lib/measure.ts'
const [framework, peer, kind, creds] = process.argv.slice(2)
const server = start(new URL('lib/http-server.ts', import.meta.url), { core: 0 })
const generator = start(new URL('lib/http-load.ts', import.meta.url), { core: 1 })
try {
  const port = await server.ask<number>({ framework, peer })
  await generator.ask({ prepare: { port, peer, kind, credentials: Number(creds), warm: 1, seconds: 2 } })
  await generator.ask('warm')
  const cpu = await server.ask<number>('cpu'); const b = await generator.ask<any>('progress'); const e = await generator.ask<any>('run'); const used = await server.ask<number>('cpu') - cpu
  const n = e.requests - b.requests, ms = e.at - b.at
  console.log(framework, peer, kind, 'rate', Math.round(n/ms*1000), 'cpu', (used/n).toFixed(1), 'server', (used/1000/ms).toFixed(2), 'gen', ((e.cpu-b.cpu)/1000/ms).toFixed(2), 'gen us/req', ((e.cpu-b.cpu)/n).toFixed(1), 'ms', Math.round(ms), 'n', n)
} finally { await server.end(); await generator.end() }
