import { fork, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startTempo, type LocalTempo } from '@mppkit/testing/anvil'
import { startPostgres, startRedis, type LocalService } from '@mppkit/testing/services'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { bundle } from './build.ts'
import { abort, comeLate, squat, steal } from './attackers.ts'
import { buy, pause, write, type Street } from './buyer.ts'
import { buyWithClient } from './client-buyer.ts'
import { startCluster, type Cluster, type Member } from './cluster.ts'
import { makePlans, randomOf, type Plan } from './plan.ts'
import { startProxy, startRailProxy, type RailProxy } from './proxy.ts'
import { filesOf, note, type Guard, type Settings, type StoreName } from './settings.ts'
import { prepareStore } from './stores.ts'
import { walletsOf } from './wallets.ts'

export interface RunOptions {
  payments: number
  seed: number
  store: StoreName
  tempo: boolean
  refunds: boolean
  hurry: number
  concurrency: number
  without?: Guard
  /** Keeps the folder. */
  keep: boolean
  say(line: string): void
}

/** Beside the packages, so that bundles find them. */
const CACHE = fileURLToPath(new URL('../../../node_modules/.cache/mppkit-faults', import.meta.url))
/**
 * Milliseconds for which nobody pays on a new chain: "never paid" is only said by a node that still knows transactions of a
 * minute and a half before the payment.
 */
const YOUTH = 110_000
/** How many freeze in one seller together. */
const FLOE = 8

/** One whole run. Resolves with the exit code of its auditor. */
export async function run(options: RunOptions): Promise<number> {
  const { seed, say } = options
  const folder = mkdtempSync(join(tmpdir(), 'mppkit-faults-'))
  const files = filesOf(folder)
  mkdirSync(files.once)
  const ends: (() => unknown)[] = []
  let code = 1
  const built = join(CACHE, String(process.pid))
  ends.push(() => rmSync(built, { recursive: true, force: true }))
  try {
    await bundle(built)
    const service = await startService(options.store)
    if (service) ends.push(() => service.stop())
    const ledger = await startLedger(built, files.ledger)
    ends.push(() => ledger.child.kill())
    const random = randomOf(seed ^ 0x5eed)
    const onFault = (kind: string): void => note(files.faults, { kind, at: Date.now() })
    const wire = await startRailProxy(ledger.port, random, onFault)
    ends.push(() => wire.close())
    const wires = [wire]
    const settings: Settings = {
      folder,
      built,
      realm: 'faults.example',
      secret: 'a secret of this run, long enough for its servers',
      seed,
      store: { name: options.store, url: service?.url ?? files.database },
      ledger: { port: ledger.port, faulty: wire.port },
      attempts: 3,
      hurry: options.hurry,
      ...(options.without && { without: options.without }),
    }
    let chain: LocalTempo | undefined
    if (options.tempo) {
      const started = (chain = await startTempo())
      ends.push(() => started.stop())
      ends.push(keepAlive(started))
      const faulty = await startRailProxy(Number(new URL(chain.url).port), random, onFault)
      ends.push(() => faulty.close())
      wires.push(faulty)
      const shop = generatePrivateKey()
      await chain.fund(privateKeyToAccount(shop).address, 100_000_000n)
      settings.chain = {
        id: chain.chainId,
        url: chain.url,
        faulty: `http://127.0.0.1:${faulty.port}`,
        shop,
        refunds: options.refunds,
      }
    }
    writeFileSync(files.run, JSON.stringify(settings))
    await prepareStore(settings)
    const started = Date.now()
    await trade(options, settings, wires, service, chain)
    say(`traded for ${((Date.now() - started) / 1000).toFixed(1)} s`)
    const restarted = await script(settings, 'restart')
    return (code = restarted === 0 ? await script(settings, 'auditor') : restarted)
  } finally {
    for (const end of ends.toReversed()) await end()
    // What was found once is rarely found again.
    if (options.keep || (code !== 0 && !options.without)) say(`kept: ${folder}`)
    else rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** Blocks with a payment in them that a chain is given at its start, for those who look back to before a payment. */
const HISTORY = 1500

/** Others trade on the chain, too: its time goes on, and its blocks are not empty. */
function keepAlive(chain: LocalTempo): () => void {
  const trade = (): Promise<void> => chain.fund(`0x${'11'.repeat(20)}`, 1n).catch(() => {})
  const timer = setInterval(() => void trade(), 1000)
  for (let block = 0; block < HISTORY; block++) void trade()
  return () => clearInterval(timer)
}

/** From the first call to the death of the last seller. */
async function trade(
  options: RunOptions,
  settings: Settings,
  wires: RailProxy[],
  service: LocalService | undefined,
  chain: LocalTempo | undefined,
): Promise<void> {
  const { seed, payments, concurrency, say } = options
  const plans = makePlans({ seed, payments, tempo: options.tempo })
  const icy = plans.filter(({ fault }) => fault?.kind === 'freeze')
  const others = plans.filter(({ fault }) => fault?.kind !== 'freeze')
  let thaw: (member: Member) => void = () => {}
  const cluster = await startCluster(settings, icy.length > 5 * FLOE ? 3 : 2, (member) => thaw(member))
  const random = randomOf(seed ^ 0xb07)
  const proxy = await startProxy((to, avoid) => route(cluster, random, to, avoid))
  const wallets = walletsOf(
    settings,
    (chain?.accounts ?? []).slice(0, 8).map(({ privateKey }) => privateKey),
  )
  const street: Street = { settings, port: proxy.port, wallets, random, seen: new Map() }
  let done = 0
  const report = setInterval(
    () => say(`${done} of ${payments} calls ended, ${cluster.deaths} deaths`),
    10_000,
  )
  const outages = planOutages(options, settings, cluster, service)
  const detached: Promise<void>[] = []

  const call = async (plan: Plan, ice?: string): Promise<void> => {
    write(street, { t: 'call', ...plan })
    let how: string
    try {
      how = await play(street, plan, ice)
    } catch (error) {
      how = `failed: ${String(error)}`
    }
    write(street, { t: 'end', call: plan.call, how })
    done++
    outages(done)
  }
  const born = Date.now()
  const put: Plan[] = []
  const worker = async (): Promise<void> => {
    for (let plan = others.shift(); plan; plan = others.shift()) {
      if (plan.rail === 'tempo' && Date.now() - born < YOUTH) put.push(plan)
      else if (plan.role === 'late') detached.push(call(plan))
      else await call(plan)
    }
    while (put.length > 0) {
      await pause(Math.max(0, born + YOUTH - Date.now()))
      const plan = put.shift()
      if (plan) await call(plan)
    }
  }
  const floe = async (member: Member): Promise<void> => {
    for (let batch = icy.splice(0, FLOE); batch.length > 0; batch = icy.splice(0, FLOE)) {
      const thawed = new Promise<void>((resolve) => {
        const before = thaw
        thaw = (who) => (who === member ? resolve() : before(who))
      })
      await Promise.all(batch.map((plan) => call(plan, `ice:${member.post.name}`)))
      // What woke up is to have its say before it is frozen again.
      await Promise.race([thawed, pause(60_000)])
      await pause(1500)
    }
  }
  await Promise.all([...Array.from({ length: concurrency }, worker), ...cluster.ice.map(floe)])
  await Promise.all(detached)
  await outages.settled()
  clearInterval(report)
  for (const wire of wires) wire.faulty = false
  cluster.stop()
  proxy.close()
  wallets.stop()
}

function play(street: Street, plan: Plan, ice?: string): Promise<string> {
  switch (plan.role) {
    case 'buyer':
      return buy(street, plan, ice)
    case 'client':
      return buyWithClient(street, plan)
    case 'aborter':
    case 'conditional':
      return abort(street, plan)
    case 'late':
      return comeLate(street, plan)
    case 'thief':
      return steal(street, plan)
    case 'squatter':
      return squat(street, plan)
  }
}

function route(cluster: Cluster, random: () => number, to: string, avoid?: number): number | undefined {
  if (to === 'fast' || to === 'slow') return cluster[to].port
  if (to.startsWith('ice:')) {
    const member = cluster.ice.find(({ post }) => post.name === to.slice(4))
    if (member && !member.frozen) return member.port
  }
  const up = cluster.slots.filter(
    ({ child, port }) => child.exitCode === null && child.signalCode === null && port !== avoid,
  )
  return up[Math.floor(random() * up.length)]?.port
}

/** The store goes away now and then: killed, or full. */
function planOutages(
  { payments }: RunOptions,
  { folder, store }: Settings,
  cluster: Cluster,
  service: LocalService | undefined,
): { (done: number): void; settled(): Promise<void> } {
  const count = Math.max(2, Math.round(payments / 1000))
  // Whoever could not write waits for a lease: a short run has its outages early.
  const span = payments <= 2000 ? payments * 0.4 : payments
  const marks = Array.from({ length: count }, (_, index) => Math.floor((span * (index + 0.5)) / count))
  let work: Promise<void> = Promise.resolve()
  const begin = (done: number): void => {
    if (marks.length === 0 || done < marks[0]!) return
    marks.shift()
    work = work.then(outage)
  }
  return Object.assign(begin, { settled: () => work })

  async function outage(): Promise<void> {
    const kind = service ? `${store.name}-killed` : 'disk-full'
    note(filesOf(folder).faults, { kind, at: Date.now() })
    if (service) {
      await service.kill()
      await pause(1200)
      await service.start()
    } else {
      cluster.tell({ fill: 'full' })
      await pause(1500)
      cluster.tell({ fill: 'free' })
    }
  }
}

async function startService(name: StoreName): Promise<LocalService | undefined> {
  if (name === 'redis') return startRedis()
  return name === 'postgres' ? startPostgres() : undefined
}

function startLedger(built: string, file: string): Promise<{ port: number; child: ChildProcess }> {
  const child = fork(join(built, 'ledger.mjs'), [file])
  return new Promise((resolve, reject) => {
    child.once('message', ({ port }: { port: number }) => resolve({ port, child }))
    child.once('exit', (code) => reject(new Error(`the ledger ended with ${code}`)))
  })
}

function script({ built, folder }: Settings, name: string): Promise<number> {
  const execArgv = ['--disable-warning=ExperimentalWarning', '--enable-source-maps']
  const child = fork(join(built, `${name}.mjs`), [folder], { execArgv })
  return new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)))
}
