import { Agent, request } from 'node:http'
import { ToyRefusal, type ToyLedger, type ToyTransfer } from '@mppkit/testing/toy'

/** Told before an order leaves and after its answer has come. */
export type Reach = (point: string) => void | Promise<void>

type Outcome = (Omit<ToyTransfer, 'amount'> & { amount: string }) | 'void' | null

/** The toy ledger as sellers and buyers see it: over a wire that may fail. Its clock is the real one, whatever theirs say. */
export function ledgerClient(port: number, reach: Reach = () => {}): ToyLedger & { stop(): void } {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })

  function ask<Answer>(path: string, body: object): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const call = request(
        { host: '127.0.0.1', port, path, method: 'POST', agent, timeout: 4000 },
        (reply) => {
          let text = ''
          reply.setEncoding('utf8')
          reply.on('data', (chunk: string) => void (text += chunk))
          reply.on('error', reject)
          reply.on('end', () => {
            if (reply.statusCode === 200) resolve(JSON.parse(text) as Answer)
            else reject(new Error(`the ledger answers ${reply.statusCode}: ${text}`))
          })
        },
      )
      call.on('timeout', () => call.destroy(new Error('the ledger does not answer')))
      call.on('error', reject)
      call.end(JSON.stringify(body))
    })
  }

  async function outcomeOf(
    path: string,
    id: string,
    from: string,
  ): Promise<ToyTransfer | 'void' | undefined> {
    const { outcome } = await ask<{ outcome: Outcome }>(path, { id, from })
    return outcome === null ? undefined : outcome === 'void' ? 'void' : read(outcome)
  }

  return {
    now: () => Date.now(),
    fund: () => Promise.reject(new Error('accounts are funded by the ledger')),
    transfers: () => Promise.reject(new Error('the movements are in the file of the ledger')),
    async balance(from) {
      return BigInt((await ask<{ balance: string }>('/balance', { from })).balance)
    },
    async transfer(order) {
      const point = order.from.startsWith('b-') ? 'broadcast' : 'refund-broadcast'
      await reach(`${point}-sent`)
      const body = { ...order, amount: order.amount.toString() }
      const { outcome, refused } = await ask<{ outcome: Outcome; refused?: ToyRefusal['reason'] }>(
        '/transfer',
        body,
      )
      if (refused) throw new ToyRefusal(refused)
      await reach(`${point}-acked`)
      return read(outcome as Exclude<Outcome, string | null>)
    },
    find: (id, from) => outcomeOf('/find', id, from),
    async cancel(id, from) {
      return (await outcomeOf('/cancel', id, from))!
    },
    stop: () => agent.destroy(),
  }
}

function read(outcome: Exclude<Outcome, string | null>): ToyTransfer {
  return { ...outcome, amount: BigInt(outcome.amount) }
}
