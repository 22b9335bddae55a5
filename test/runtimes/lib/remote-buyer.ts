/*
 * Stands in for packages/testing/src/lib/buyer.ts inside a runtime whose own HTTP client would not send every byte as it
 * is asked to, or cannot break a connection: the real buyer runs in the process that has started the runtime, on Node.
 */
import type { Wire } from '../../../packages/testing/src/lib/buyer-wire.ts'
import { toGot } from '../../../packages/testing/src/lib/buyer-wire.ts'
import type { Buyer, Exchange, Got, Raw } from '../../../packages/testing/src/lib/buyer.ts'
import type { ToBuyer, SentGot, SentRaw, OfBuyer } from './messages.ts'

interface Remote {
  hear(message: OfBuyer): void
}

let say: (message: ToBuyer) => void = () => {
  throw new Error('the buyer has no line yet')
}
let count = 0
const remotes = new Map<number, Remote>()

/** Gives all buyers their line. */
export function useLine(send: (message: ToBuyer) => void): (message: OfBuyer) => void {
  say = send
  return (message) => remotes.get(message.id)?.hear(message)
}

/** As the buyer of the suite. */
export function createBuyer(url: string): Buyer {
  const seen: { raw: Raw; got: Got }[] = []
  const record = (raw: Raw, got: Got): void => void seen.push({ raw, got })
  const open = (raw: Raw): Exchange => exchange(url, raw, record)
  return { seen, open, send: (raw) => open(raw).rest(), connect: () => connect(url, record) }
}

type Record_ = (raw: Raw, got: Got) => void

function exchange(url: string, raw: Raw, record: Record_): Exchange {
  const id = (count += 1)
  const status = deferred<number>()
  const end = deferred<Got>()
  const calls = callsOf(id)
  const pieces = raw.chunks && iteratorOf(raw.chunks)
  let sent = 0
  remotes.set(id, {
    hear(message) {
      if ('sent' in message) sent = message.sent
      switch (message.kind) {
        case 'status':
          return status.resolve(message.status)
        case 'pull':
          return void next()
        case 'end': {
          const got = unpacked(message.got)
          record(raw, got)
          remotes.delete(id)
          return end.resolve(got)
        }
        case 'failed':
          remotes.delete(id)
          status.reject(new Error(message.error))
          return end.reject(new Error(message.error))
        case 'answer':
          return calls.answer(message)
        case 'connected':
      }
    },
  })
  async function next(): Promise<void> {
    const { value, done } = (await pieces?.next()) ?? { done: true }
    say({ kind: 'chunk', id, ...(done ? {} : packed(value as string | Uint8Array)) })
  }

  say({ kind: 'open', id, url, raw: sentRaw(raw) })
  return {
    status: () => status.promise,
    read: async (bytes) => void (await calls.call((call) => ({ kind: 'call', id, call, op: 'read', bytes }))),
    sent: () => sent,
    rest: () => end.promise,
    reset: () => say({ kind: 'reset', id }),
  }
}

async function connect(url: string, record: Record_): Promise<Wire> {
  const id = (count += 1)
  const connected = deferred<void>()
  const calls = callsOf(id)
  remotes.set(id, {
    hear(message) {
      if (message.kind === 'connected') connected.resolve()
      else if (message.kind === 'failed') connected.reject(new Error(message.error))
      else if (message.kind === 'answer') calls.answer(message)
    },
  })
  say({ kind: 'connect', id, url })
  await connected.promise
  return {
    write: (bytes) => say({ kind: 'write', id, ...packed(bytes) }),
    async next(method) {
      return gotOf(await calls.call((call) => ({ kind: 'call', id, call, op: 'next', method })))
    },
    async send(raw) {
      const got = gotOf(
        await calls.call((call) => ({ kind: 'call', id, call, op: 'send', raw: sentRaw(raw) })),
      )
      record(raw, got)
      return got
    },
    reset: () => say({ kind: 'reset', id }),
    close: () => say({ kind: 'close', id }),
  }
}

function callsOf(id: number) {
  const open = new Map<number, Deferred<SentGot | undefined>>()
  let last = 0
  return {
    call(make: (call: number) => ToBuyer & { id: typeof id }): Promise<SentGot | undefined> {
      const call = (last += 1)
      const answer = deferred<SentGot | undefined>()
      open.set(call, answer)
      say(make(call))
      return answer.promise
    },
    answer({ call, got, error }: Extract<OfBuyer, { kind: 'answer' }>): void {
      const waiting = open.get(call)
      open.delete(call)
      if (error === undefined) waiting?.resolve(got)
      else waiting?.reject(new Error(error))
    },
  }
}

function iteratorOf<T>(pieces: Iterable<T> | AsyncIterable<T>): Iterator<T> | AsyncIterator<T> {
  return Symbol.iterator in pieces ? pieces[Symbol.iterator]() : pieces[Symbol.asyncIterator]()
}

interface Deferred<T> {
  promise: Promise<T>
  resolve(value: T): void
  reject(error: Error): void
}

function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => {}
  let reject: (error: Error) => void = () => {}
  const promise = new Promise<T>((...both) => ([resolve, reject] = both))
  // Nobody need ask.
  promise.catch(() => {})
  return { promise, resolve, reject }
}

function sentRaw({ body, chunks, ...rest }: Raw): SentRaw {
  if (chunks) return { ...rest, chunked: true }
  return body === undefined ? rest : { ...rest, ...packed(body) }
}

function packed(bytes: string | Uint8Array): { text: string } | { base64: string } {
  return typeof bytes === 'string' ? { text: bytes } : { base64: Buffer.from(bytes).toString('base64') }
}

function gotOf(got: SentGot | undefined): Got {
  if (!got) throw new Error('the buyer answered nothing')
  return unpacked(got)
}

function unpacked({ base64, ...rest }: SentGot): Got {
  return toGot({ ...rest, bytes: Buffer.from(base64, 'base64') })
}
