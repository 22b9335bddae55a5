import { Session } from 'node:inspector/promises'
import { writeFileSync } from 'node:fs'
import { ourToy, payOurs, PRICE, REALM, SECRET, CONTENT } from './lib/peers.ts'
const [kind, style, out] = process.argv.slice(2)
const { memoryStore } = await import('@mppkit/server')
const { createMpp } = await import('../packages/server/src/lib/fetch.ts')
const mpp = createMpp({ realm: REALM, secret: SECRET, methods: [ourToy()], store: memoryStore({max:1e6}), origin: 'http://localhost' })
const h = mpp.charge(PRICE)(async () => Response.json(CONTENT)) as any
const N = 30000
const creds = kind === 'paid' ? await payOurs('/photos?x=1', N) : []
const env = style === 'told' ? { completed: Promise.resolve() } : undefined
let i = 0
const run = async (n: number) => { const rs = Array.from({length: 100}, () => new Request('https://api.example.com/photos?x=1', creds[i] ? {headers:{authorization:creds[i++]!}} : (i++, {})))
  const a = process.cpuUsage(); for (const r of rs) { const x = await h(r, env); if (x.status !== (kind==='402'?402:200)) throw new Error(x.status+await x.text()) } await new Promise(r=>setImmediate(r)); const b = process.cpuUsage(a); return b.user+b.system }
while (i < 10000) await run(100)
const s = new Session(); 
if (out) { s.connect(); await s.post('Profiler.enable'); await s.post('Profiler.setSamplingInterval',{interval:100}); await s.post('Profiler.start') }
let t = 0; while (i < N) t += await run(100)
if (out) { const {profile} = await s.post('Profiler.stop') as any; writeFileSync(out, JSON.stringify(profile)) }
console.log(kind, style, (t/(N-10000)).toFixed(1),'us/request'); process.exit()
