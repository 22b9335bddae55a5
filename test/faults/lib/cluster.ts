import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { Post, Settings } from './settings.ts'

/** A seller's process, once it listens. */
export interface Member {
  post: Post
  port: number
  child: ChildProcess
  /** Set while it is stopped. */
  frozen: boolean
}

export interface Cluster {
  /** The three that serve, and the ones that serve beside them. */
  slots: Member[]
  spare: Member[]
  ice: Member[]
  fast: Member
  slow: Member
  /** Deaths so far that were ordered by nobody here. */
  deaths: number
  tell(order: object): void
  stop(): void
}

/** How long a seller stays frozen: longer than a lease that was renewed a moment before. */
const FROST = 34_000

/**
 * Three sellers, a spare that takes the place of one that dies, two whose clocks are wrong, and some that are there to be
 * frozen. `onFrost` is told when one of these is thawed.
 */
export async function startCluster(
  settings: Settings,
  ices: number,
  onThaw: (member: Member) => void,
): Promise<Cluster> {
  let made = 0
  let stopped = false
  const all = new Set<ChildProcess>()
  const kill = (): void => {
    for (const child of all) child.kill('SIGKILL')
  }
  process.once('exit', kill)

  const [slots, first, ice, [fast, slow]] = await Promise.all([
    Promise.all([0, 1, 2].map(() => start('seller'))),
    start('seller'),
    Promise.all(Array.from({ length: ices }, () => start('ice'))),
    Promise.all([start('fast', 60_000), start('slow', -60_000)]),
  ])
  const spare = [first]
  const cluster: Cluster = { slots, spare, ice, fast: fast!, slow: slow!, deaths: 0, tell, stop }
  for (const member of [...slots, ...spare]) attend(member)
  return cluster

  function start(role: string, skew = 0): Promise<Member> {
    const number = made++
    const post: Post = { name: `${role}-${number}`, adapter: number % 2 === 0 ? 'hono' : 'express', skew }
    const child = fork(join(settings.built, 'seller.mjs'), [settings.folder, JSON.stringify(post)], {
      execArgv: ['--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, NODE_COMPILE_CACHE: join(settings.built, 'compiled') },
    })
    all.add(child)
    child.once('exit', () => all.delete(child))
    return new Promise((resolve, reject) => {
      const member: Member = { post, port: 0, child, frozen: false }
      child.once('error', reject)
      child.once('exit', (code, signal) =>
        reject(new Error(`${post.name} ended (${code ?? signal}) at its start`)),
      )
      child.on('message', (said: { port?: number; frozen?: string }) => {
        if (said.port) resolve(Object.assign(member, { port: said.port }))
        if (said.frozen) frost(member)
      })
    })
  }

  /** A dead one is replaced by the spare, and the spare by a new one. */
  function attend(member: Member): void {
    member.child.once('exit', () => {
      if (stopped) return
      cluster.deaths++
      const index = slots.indexOf(member)
      const at = spare.indexOf(member)
      if (at >= 0) spare.splice(at, 1)
      const next = index >= 0 ? spare.shift() : undefined
      if (next) slots[index] = next
      void refill()
    })
  }

  /** Again and again: one that dies at its start has died of a fault, too. */
  async function refill(): Promise<void> {
    while (!stopped) {
      try {
        const fresh = await start('seller')
        attend(fresh)
        const gap = slots.findIndex(({ child }) => child.exitCode !== null || child.signalCode !== null)
        if (gap >= 0) slots[gap] = fresh
        else spare.push(fresh)
        return
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 200))
      }
    }
  }

  function frost(member: Member): void {
    member.frozen = true
    setTimeout(() => {
      member.frozen = false
      member.child.kill('SIGCONT')
      onThaw(member)
    }, FROST)
  }

  function tell(order: object): void {
    for (const child of all) if (child.connected) child.send(order, ignore)
  }

  function stop(): void {
    stopped = true
    kill()
    process.off('exit', kill)
  }
}

function ignore(): void {}
