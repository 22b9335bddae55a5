import type { Wire } from './client.ts'
import type { Script } from './scripts.ts'

/** What a script returned: text and lists of it, however the client shows them. */
export type Reply = string | Reply[]

/** Runs a script on the primary that owns `names`; with `replicas`, waits until that many have what was written. */
export type Run = (
  script: Script,
  names: [string, ...string[]],
  args: string[],
  replicas?: { count: number; timeout: number },
) => Promise<Reply>

/** The way to the server: bounded in time, and with the server's clock at hand. */
export interface Link {
  /**
   * Gives `work` the time that is left, and what it needs: `run`, and the time, by the server's clock, before which its
   * command may still be carried out. Rejects with an `Error` that names the address when that time is over, no earlier.
   */
  call<T>(work: (run: Run, before: () => string) => Promise<T>): Promise<T>
  /** To be told what time it was at the server when it answered. */
  learn(serverTime: string): void
  /** Every later call rejects. */
  close(): void
}

/** @param timeout Milliseconds for each call. */
export function createLink(wire: Wire, timeout: number): Link {
  let isClosed = false
  // The server's clock less ours. An answer is always read later than it was given, so the largest value seen is the
  // nearest, and each of them is too small: a command may be thought too late too early, never the other way round.
  let ahead = -Infinity

  const run: Run = async (script, names, args, replicas) => {
    const tail = [`${names.length}`, ...names, ...args]
    const send = async (command: string[]) => {
      if (!replicas) return texts(await wire.send(names[0], command))
      // Asked of a refusal too: a caller may take what it shows for its own earlier write. WAIT counts from where the
      // server stood at the last command of this connection, whoever wrote.
      const [reply, acknowledged] = await wire.sendAndWait!(command, replicas.count, replicas.timeout)
      if (Array.isArray(reply) && String(reply[0]) !== 'late' && acknowledged < replicas.count) {
        throw new Error(
          `${acknowledged} of ${replicas.count} replicas had the write within ${replicas.timeout} ms; it may be lost`,
        )
      }
      return texts(reply)
    }
    try {
      return await send(['EVALSHA', await script.name(), ...tail])
    } catch (error) {
      // The one failure after which it is certain that nothing was done.
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
      return send(['EVAL', script.text, ...tail])
    }
  }

  return {
    async call(work) {
      if (isClosed) throw new Error('redisStore: the store is closed')
      const end = performance.now() + timeout
      let timer: ReturnType<typeof setTimeout> | undefined
      const isOver = () => performance.now() >= end
      const expiry = new Promise<never>((_, reject) => {
        // A timer counts whole milliseconds and fires a part of one too early, when the command may still be carried out.
        const giveUp = () => {
          if (isOver()) reject(new Error(`no answer within ${timeout} ms`))
          else timer = setTimeout(giveUp, end - performance.now())
        }
        timer = setTimeout(giveUp, timeout)
      })
      const before = () => {
        // The answer that told the time may itself have come when nobody waited for it any more.
        if (isOver()) throw new Error(`no answer within ${timeout} ms`)
        return ahead === -Infinity ? '0' : `${Math.floor(end + ahead)}`
      }
      try {
        return await Promise.race([work(run, before), expiry])
      } catch (error) {
        // Not as a cause: an error of a client holds the command, and with it what was to be written.
        const message = error instanceof Error ? error.message : String(error)
        throw new Error(`redisStore: ${wire.address}: ${message}`)
      } finally {
        clearTimeout(timer)
      }
    },

    learn(serverTime) {
      const seen = Number(serverTime) - performance.now()
      // No answer is that old: the server's clock was set back, or another server answers now. Were it our own tick that was
      // long, a command is thought late once, and the server tells the time again.
      ahead = seen < ahead - timeout ? seen : Math.max(ahead, seen)
    },

    close() {
      isClosed = true
    },
  }
}

function texts(reply: unknown): Reply {
  return Array.isArray(reply) ? reply.map(texts) : String(reply)
}
