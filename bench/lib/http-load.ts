import { connect, type Socket } from 'node:net'
import { answer, check, cpuTime } from './measure.ts'
import { challengeIn, payFloor, payOurs, payTheirs } from './peers.ts'
import type { Framework } from './http-server.ts'
import type { Peer } from './servers/peer.ts'

/** A load lasts for so many seconds, and longer if there were not yet so many requests. */
interface Length {
  seconds: number
  requests: number
}

/** What to send, and for how long. */
export interface Load {
  port: number
  target: string
  framework: Framework
  peer: Peer
  kind: '402' | 'paid'
  /** Distinct credentials to send, of which the warm-up may use two fifths; the load ends when they are used up. */
  credentials: number
  warm: Length
  run: Length
}

/** Where a load stands. */
export interface Progress {
  requests: number
  /** Milliseconds since the start of this process. */
  at: number
  /** CPU of this process, in microseconds. */
  cpu: number
}

/** `prepare` first; then `warm`, and `run`, which resolve with the progress at their end. */
export type Question = { prepare: Load } | 'warm' | 'run' | 'progress'

const CONNECTIONS = 32

/** Keep-alive connections with one request in flight on each: raw sockets, since an HTTP client would cost as much as the server. */
class Generator {
  readonly #load: Load
  readonly #requests: Buffer[]
  #next = 0
  #done = 0
  #stopAt = 0
  #least = 0
  #end = Infinity
  #status = Buffer.alloc(0)
  #length = Buffer.alloc(0)

  private constructor(load: Load, requests: Buffer[]) {
    this.#load = load
    this.#requests = requests
  }

  static async prepare(load: Load): Promise<Generator> {
    return new Generator(
      load,
      load.kind === 'paid' ? await paidRequests(load) : [requestWith(load.target, undefined)],
    )
  }

  progress(): Progress {
    return { requests: this.#done, at: performance.now(), cpu: cpuTime() }
  }

  /** The first request, alone and looked at closely; it teaches what the head of a good answer looks like. */
  async look(): Promise<void> {
    const { kind, peer } = this.#load
    const wanted = kind === '402' && peer !== 'bare' ? 402 : 200
    const seen = await this.#take()
    const [head = '', body = ''] = seen.split('\r\n\r\n')
    const [line = ''] = head.split('\r\n')
    check(line.startsWith(`HTTP/1.1 ${wanted} `), `${peer} answers "${line}" in place of ${wanted}: ${body}`)
    const receipt = /^payment-receipt: \S+$/im.test(head)
    check(receipt === (kind === 'paid' && peer !== 'bare'), `${peer} ${kind}: receipt ${receipt}`)
    this.#status = Buffer.from(line.slice(0, 12))
    const length = /^content-length: /im.exec(head)
    this.#length = Buffer.from(length ? `\r\n${length[0]}` : '')
    if (wanted === 402) {
      const again = await this.#take()
      const ids = [seen, again].map(
        (text) => challengeIn(/^www-authenticate: (.*)$/im.exec(text)?.[1] ?? null).id,
      )
      // mppx's challenges of one millisecond are the same.
      check(ids[0] !== ids[1] || peer === 'mppx', `${peer} repeats its challenges`)
    }
    if (kind !== 'paid' || peer === 'bare') return
    this.#next--
    const again = await this.#take()
    check(again.startsWith('HTTP/1.1 402 '), `${peer} takes a credential twice`)
  }

  /** Runs for that long and for so many requests, or until the given share of the credentials is used up. */
  async run({ seconds, requests }: Length, share: number): Promise<Progress> {
    this.#stopAt = performance.now() + seconds * 1000
    this.#least = this.#done + requests
    this.#end = this.#load.kind === 'paid' ? Math.floor(this.#requests.length * share) : Infinity
    // A generator that sleeps between answers is dear to wake, and it is the server that pays for it, in `write`.
    let isOver = false
    const stayAwake = (): void => {
      if (!isOver) setImmediate(stayAwake)
    }
    stayAwake()
    await Promise.all(Array.from({ length: CONNECTIONS }, () => this.#drive()))
    isOver = true
    return this.progress()
  }

  /** The next to send: each credential once, everything else again and again. */
  #request(): Buffer {
    return this.#requests[this.#load.kind === 'paid' ? this.#next++ : 0]!
  }

  /** Sends request after request on one connection. */
  #drive(): Promise<void> {
    return new Promise((resolve, reject) => {
      let filled = 0
      const buffer = Buffer.allocUnsafe(65_536)
      const socket: Socket = connect({
        port: this.#load.port,
        host: '127.0.0.1',
        noDelay: true,
        onread: {
          buffer: Buffer.allocUnsafe(65_536),
          callback: (size, chunk) => {
            const bytes = chunk as Buffer
            let answered = bytes
            let end = size
            if (filled > 0) {
              bytes.copy(buffer, filled, 0, size)
              answered = buffer
              end = filled + size
            }
            const whole = this.#endOf(answered, end)
            if (whole < 0) {
              if (filled === 0) bytes.copy(buffer, 0, 0, size)
              filled = end
              return true
            }
            filled = 0
            if (
              whole !== end ||
              answered.compare(this.#status, 0, this.#status.length, 0, this.#status.length) !== 0
            ) {
              socket.destroy()
              reject(
                new Error(`mis-measured: ${this.#load.peer} answered ${answered.toString('latin1', 0, end)}`),
              )
              return false
            }
            this.#done++
            send()
            return true
          },
        },
      })
      const send = (): void => {
        const isOver = this.#done >= this.#least && performance.now() >= this.#stopAt
        if (isOver || this.#next >= this.#end) {
          socket.destroy()
          resolve()
        } else socket.write(this.#request())
      }
      socket.once('connect', send).once('error', reject)
    })
  }

  /** Index behind the answer that begins at 0; -1: more is to come. */
  #endOf(bytes: Buffer, size: number): number {
    const head = bytes.indexOf('\r\n\r\n', 0, 'latin1')
    if (head < 0 || head >= size) return -1
    let end: number
    if (this.#length.length > 0) {
      let at = bytes.indexOf(this.#length)
      if (at < 0 || at > head) throw new Error('mis-measured: an answer without a length')
      at += this.#length.length
      let length = 0
      for (let digit = bytes[at]!; digit >= 0x30 && digit <= 0x39; digit = bytes[++at]!)
        length = length * 10 + digit - 0x30
      end = head + 4 + length
    } else {
      const last = bytes.indexOf('0\r\n\r\n', head, 'latin1')
      end = last < 0 ? Infinity : last + 5
    }
    return end <= size ? end : -1
  }

  /** Sends one request on a connection of its own and resolves with the answer's text. */
  #take(): Promise<string> {
    const request = this.#request()
    return new Promise((resolve, reject) => {
      let text = ''
      const socket = connect(this.#load.port, '127.0.0.1')
      socket.setEncoding('latin1').on('data', (chunk: string) => {
        text += chunk
        if (!/\r\n\r\n/.test(text)) return
        const length = /^content-length: (\d+)/im.exec(text)?.[1]
        const [, body = ''] = text.split('\r\n\r\n')
        if (length === undefined ? !text.endsWith('\r\n0\r\n\r\n') : body.length < Number(length)) return
        socket.destroy()
        resolve(text)
      })
      socket.once('error', reject)
      socket.write(request)
    })
  }
}

const made = new Map<string, Promise<Buffer[]>>()

/** Made once: each server of a run begins without a memory, so what another one has taken is as good as new. */
function paidRequests(load: Load): Promise<Buffer[]> {
  const { framework, peer, target } = load
  // What mppx binds a credential to differs between its frameworks.
  const key = `${peer} ${target} ${peer === 'mppx' ? framework : ''}`
  let requests = made.get(key)
  if (!requests) {
    requests = credentialsFor(load).then((all) => all.map((each) => requestWith(target, each)))
    made.set(key, requests)
  }
  return requests
}

async function credentialsFor({ port, target, peer, credentials }: Load): Promise<string[]> {
  if (peer === 'ours') return payOurs(target, credentials)
  if (peer === 'mppx') {
    const response = await fetch(`http://127.0.0.1:${port}${target}`)
    return payTheirs(response.headers.get('www-authenticate') ?? '', credentials)
  }
  return payFloor(target, credentials)
}

function requestWith(target: string, credential: string | undefined): Buffer {
  const lines = [`GET ${target} HTTP/1.1`, 'Host: localhost', 'Accept: */*']
  if (credential !== undefined) lines.push(`Authorization: ${credential}`)
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

let generator: Generator | undefined
let load: Load

answer(async (question: Question) => {
  if (typeof question === 'object') {
    load = question.prepare
    generator = await Generator.prepare(load)
    return generator.look()
  }
  if (!generator) throw new Error('prepare first')
  if (question === 'progress') return generator.progress()
  return question === 'warm' ? generator.run(load.warm, 0.4) : generator.run(load.run, 1)
})
