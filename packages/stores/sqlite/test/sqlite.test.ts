import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Store } from '@mppkit/core'
import { testStore, type OpenedStore } from '../../../testing/src/lib/test-store.ts'
import { sqliteStore } from '../src/index.ts'

testStore('sqlite', async () => {
  let clock = Date.now()
  const folder = await mkdtemp(join(tmpdir(), 'mppkit-sqlite-'))
  const path = join(folder, 'store.db')
  const stores: Store[] = []
  const open = (): Store => {
    const store = sqliteStore({ path, now: () => clock })
    stores.push(store)
    return store
  }
  const closeAll = async () => {
    for (const store of stores.splice(0)) await store.close!()
  }
  const opened: OpenedStore = {
    store: open(),
    another: async () => open(),
    advance: (ms) => void (clock += ms),
    processes: { module: new URL('./process.ts', import.meta.url), options: { path } },
    // There is no server to kill; what a killed process leaves behind is asked below.
    async restart() {
      await closeAll()
      opened.store = open()
    },
    async close() {
      await closeAll()
      await rm(folder, { recursive: true })
    },
  }
  return opened
})

testStore('sqlite in memory, in real time', async () => {
  const store = sqliteStore({ path: ':memory:' })
  return { store, close: () => store.close!() }
})

describe('sqliteStore', () => {
  let folder: string
  let path: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mppkit-sqlite-'))
    path = join(folder, 'store.db')
  })
  afterEach(() => rm(folder, { recursive: true }))

  test('keeps entries, queues and the order of versions when it is opened again', async () => {
    const first = sqliteStore({ path })
    const write = { value: 'one', ttl: 'forever', lease: 60_000, due: { queue: 'q', in: 0 } } as const
    const result = await first.swap('key', 'absent', write)
    const gone = await first.swap('gone', 'absent', write)
    if (!gone.ok) throw new Error('refused')
    await first.swap('gone', gone.version, 'delete')
    await first.close!()

    const second = sqliteStore({ path })
    expect(await second.get('key')).toMatchObject({
      value: 'one',
      leased: true,
      version: (result as { version: string }).version,
    })
    expect(await second.due('q', 9)).toHaveLength(1)
    const again = await second.swap('gone', 'absent', write)
    expect((again as { version: string }).version).not.toBe(gone.version)
    expect(await second.swap('gone', gone.version, write)).toMatchObject({ ok: false })
    await second.close!()
  })

  test('processes on one file lose nothing, even when one is killed', { timeout: 120_000 }, async () => {
    const rounds = 200
    const workers = await race(path, ['a', 'b', 'c', 'victim'], rounds, { name: 'victim', after: 60 })

    const store = sqliteStore({ path })
    const counts = JSON.parse((await store.get('counts'))!.value) as Record<string, number>
    const survivors = workers.filter((worker) => worker.done)
    expect(survivors.map((worker) => [worker.name, worker.counted])).toEqual([
      ['a', rounds],
      ['b', rounds],
      ['c', rounds],
    ])
    expect(counts).toMatchObject({ a: rounds, b: rounds, c: rounds })
    // The victim may have died between a commit and its message, never the other way round.
    const victim = workers.find((worker) => worker.name === 'victim')!
    expect(victim.counted).toBeGreaterThanOrEqual(60)
    expect(victim.counted).toBeLessThan(rounds)
    expect([victim.counted, victim.counted + 1]).toContain(counts['victim'])

    const claims = await Promise.all(
      Array.from({ length: rounds }, async (_, index) => ({
        winners: workers.filter((worker) => worker.claimed.has(index)).map((worker) => worker.name),
        held: (await store.get(`claim ${index}`))?.value,
      })),
    )
    const unreported = claims.filter(({ held, winners }) => winners.length === 0 && held === 'victim')
    const reported = claims.filter((claim) => !unreported.includes(claim))
    expect(reported.map((claim) => claim.winners)).toEqual(reported.map((claim) => [claim.held]))
    expect(unreported.length).toBeLessThanOrEqual(1)
    await store.close!()

    const database = new DatabaseSync(path)
    expect(database.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }])
    database.close()
  })

  test('several processes may create one file at once', { timeout: 60_000 }, async () => {
    const workers = await race(path, ['a', 'b', 'c', 'd', 'e', 'f'], 1)
    expect(workers.every((worker) => worker.done)).toBe(true)
  })

  test('construction waits for a file that is locked in another journal mode', async () => {
    const holder = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads')
      const database = new (require('node:sqlite').DatabaseSync)(workerData)
      database.exec('CREATE TABLE other (a); BEGIN IMMEDIATE; INSERT INTO other VALUES (1)')
      parentPort.postMessage('held')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)
      database.exec('COMMIT')
      database.close()`,
      { eval: true, workerData: path },
    )
    await once(holder, 'message')
    const store = sqliteStore({ path })
    expect(await store.swap('key', 'absent', { value: '', ttl: 60 })).toMatchObject({ ok: true })
    await store.close!()
    await holder.terminate()
  })

  test('a lock that is held too long rejects; it is no refusal, and nothing was written', async () => {
    const store = sqliteStore({ path, timeout: 50 })
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    await expect(store.swap('key', 'absent', { value: '', ttl: 60 })).rejects.toThrow(/locked/)
    expect(await store.get('key')).toBeUndefined()
    other.exec('ROLLBACK')
    expect(await store.swap('key', 'absent', { value: '', ttl: 60 })).toMatchObject({ ok: true })
    other.close()
    await store.close!()
  })

  test('a write that fails half-way leaves the store usable', async () => {
    const store = sqliteStore({ path })
    const write = { value: 'x', ttl: 60 }
    // Refused by the binding of parameters, when the transaction has already begun.
    const bad = { ...write, due: { queue: {} as never, in: 0 } }
    await expect(store.swap('key', 'absent', bad)).rejects.toThrow()
    expect(await store.get('key')).toBeUndefined()
    expect(await store.swap('key', 'absent', write)).toMatchObject({ ok: true })
    await store.close!()
  })

  test('the file and its log are for their owner only', async () => {
    const store = sqliteStore({ path })
    await store.swap('key', 'absent', { value: 'who paid for what', ttl: 60 })
    for (const file of [path, `${path}-wal`]) expect((await stat(file)).mode & 0o077).toBe(0)
    await store.close!()
  })

  test('commits are durable: write-ahead log and synchronous=FULL', async () => {
    const exec = vi.spyOn(DatabaseSync.prototype, 'exec')
    const store = sqliteStore({ path })
    expect(exec.mock.calls.flat().join()).toContain('synchronous = FULL')
    exec.mockRestore()
    const other = new DatabaseSync(path)
    expect(other.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' })
    other.close()
    await store.close!()
  })

  test('expired rows leave the file, a few with each write', async () => {
    let clock = 1_000_000
    const store = sqliteStore({ path, now: () => clock })
    for (let index = 0; index < 100; index += 1) {
      await store.swap(`${index}`, 'absent', { value: '', ttl: 1, due: { queue: 'q', in: 0 } })
    }
    clock += 1000
    for (let index = 0; index < 25; index += 1) await store.swap('key', 'absent', { value: '', ttl: 9 })
    await store.close!()
    const database = new DatabaseSync(path)
    expect(database.prepare('SELECT count(*) AS rows FROM mppkit_entries').get()).toEqual({ rows: 1 })
    database.close()
  })

  test('due is answered from its index, page by page', async () => {
    await sqliteStore({ path }).close!()
    const database = new DatabaseSync(path)
    const plan = database
      .prepare(
        'EXPLAIN QUERY PLAN SELECT key FROM mppkit_entries WHERE queue = ? AND due <= ? AND (due, sequence) > (?, ?) ORDER BY due, sequence LIMIT 9',
      )
      .all('q', 1, 1, 1)
    database.close()
    expect(JSON.stringify(plan)).toContain('USING INDEX mppkit_entries_due')
    expect(JSON.stringify(plan)).not.toContain('TEMP B-TREE')
  })

  test('checks its options', () => {
    expect(() => sqliteStore({ path: '' })).toThrow(TypeError)
    // Accepted, this one forgot everything with its process, and no server beyond loopback refused it.
    for (const path of ['file::memory:', 'FILE:payments.db?mode=memory'])
      expect(() => sqliteStore({ path })).toThrow('plain path')
    expect(() => sqliteStore({} as never)).toThrow(TypeError)
    for (const timeout of [-1, 1.5, Number.NaN, Infinity]) {
      expect(() => sqliteStore({ path: ':memory:', timeout })).toThrow(TypeError)
    }
    expect(() => sqliteStore({ path: ':memory:', now: 5 as never })).toThrow(TypeError)
    expect(() => sqliteStore({ path: join(folder, 'missing', 'store.db') })).toThrow(/open/)
  })
})

describe('loading', () => {
  afterEach(() => {
    vi.restoreAllMocks()
    vi.resetModules()
  })

  test('importing does not load node:sqlite; without it, construction names the remedy', async () => {
    const load = vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined as never)
    vi.resetModules()
    const fresh = await import('../src/index.ts')
    expect(load).not.toHaveBeenCalledWith('node:sqlite')
    expect(() => fresh.sqliteStore({ path: ':memory:' })).toThrow(TypeError)
    expect(() => fresh.sqliteStore({ path: ':memory:' })).toThrow(
      /Node 22\.13 or later, or use another store/,
    )
    expect(load).toHaveBeenCalledWith('node:sqlite')
  })
})

interface Outcome {
  name: string
  claimed: Set<number>
  counted: number
  done: boolean
}

type Message = 'ready' | 'done' | { claimed: number } | { counted: number }

/** Runs one worker process per name on the same file, all at once; kills one of them in the middle. */
async function race(
  path: string,
  names: string[],
  rounds: number,
  kill?: { name: string; after: number },
): Promise<Outcome[]> {
  let waiting = names.length
  const children: ChildProcess[] = []
  return Promise.all(
    names.map((name) => {
      const outcome: Outcome = { name, claimed: new Set(), counted: 0, done: false }
      const child = fork(new URL('./worker.ts', import.meta.url), [path, name, `${rounds}`], { execArgv: [] })
      children.push(child)
      child.on('message', (message: Message) => {
        if (message === 'ready') {
          waiting -= 1
          if (waiting === 0) for (const one of children) one.send('go')
        } else if (message === 'done') outcome.done = true
        else if ('claimed' in message) outcome.claimed.add(message.claimed)
        else outcome.counted = message.counted
        if (name === kill?.name && outcome.counted >= kill.after) child.kill('SIGKILL')
      })
      // What a killed child had sent is complete only when its channel has ended too.
      const drained = new Promise((resolve) => child.once('disconnect', resolve))
      const ended = new Promise<void>((resolve, reject) => {
        child.once('error', reject)
        child.once('exit', (code, signal) => {
          if (code === 0 || signal === 'SIGKILL') resolve()
          else reject(new Error(`worker ${name} ended with ${code ?? signal}`))
        })
      })
      return Promise.all([ended, drained]).then(() => outcome)
    }),
  )
}
