import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

/** A simulated browser. */
export interface Session {
  id: string
  /** Who paid for it, as proven by the rail. */
  owner: string | undefined
  /** What its owner drives and extends it with. */
  key: string
  /** Unix milliseconds. */
  until: number
  /** The payments that it was extended by. */
  extended: Set<string>
}

export const MINUTES = 10
/** Milliseconds that a simulated browser takes to listen. */
const START = 80

/** The browsers of this process. What is done for a payment is done once, however often its handler is started. */
export function createSessions() {
  const sessions = new Map<string, Session>()
  return {
    get: (id: string) => sessions.get(id),
    async open(payment: string, owner: string | undefined): Promise<Session> {
      let session = sessions.get(payment)
      if (!session) {
        const key = randomBytes(16).toString('hex')
        session = { id: payment, owner, key, until: Date.now() + MINUTES * 60_000, extended: new Set() }
        sessions.set(payment, session)
      }
      await sleep(START)
      return session
    },
    async extend(session: Session, payment: string): Promise<Session> {
      if (!session.extended.has(payment)) session.until += MINUTES * 60_000
      session.extended.add(payment)
      await sleep(START)
      return session
    },
  }
}

/** What its owner is shown of a session. */
export function shown({ id, key, until }: Session) {
  return { id, key, until: new Date(until).toISOString(), simulated: true }
}
