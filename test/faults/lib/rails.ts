import { encodeBase64url, PaymentError, type OnceMethod } from '@mppkit/core'
import { toyMethod, ToyRefusal, type ToyLedger } from '@mppkit/testing/toy'
import type { Reach } from './ledger-client.ts'
import type { Settings } from './settings.ts'

export const SHOP = 'shop'
export const PRICE = '1.00'

/** All that a seller of a run takes. */
export async function railsOf(
  settings: Settings,
  ledger: ToyLedger,
  reach: Reach,
): Promise<OnceMethod<never>[]> {
  const { chain, without } = settings
  const shared = { ledger, recipient: SHOP, canRefund: true }
  const rails: OnceMethod<never>[] = [
    toyMethod({ ...shared }),
    reference(ledger),
    toyMethod({ ...shared, name: 'push', moves: 'before' }),
  ]
  if (chain) rails.push(await onChain(chain, reach))
  return without === 'note' ? rails.map(noteless) : rails
}

/**
 * A rail whose orders are told apart by nothing but a reference that the seller makes up: sent twice with two references, an
 * order is carried out twice. So the reference is noted before the order is sent, and used again after a crash.
 */
function reference(ledger: ToyLedger): OnceMethod<never> {
  const toy = toyMethod({ ledger, name: 'ref', recipient: SHOP, canRefund: true, notes: 'settle' })
  const method: OnceMethod<never> = {
    ...(toy as unknown as OnceMethod<never>),

    async settle(parsed, context) {
      const { proof, until } = parsed as unknown as { proof: { from: string }; until?: number }
      const { from } = proof
      let id = context.noted?.split(' ')[0]
      if (id === undefined) {
        id = `${from}:ref-${encodeBase64url(crypto.getRandomValues(new Uint8Array(9)))}`
        await context.note(until === undefined ? id : `${id} ${until}`)
      }
      const { amount } = context.request as { amount: string }
      const order = { id, from, to: SHOP, amount: BigInt(amount), memo: context.challenge.id }
      const { at } = await ledger
        .transfer(until === undefined ? order : { ...order, until })
        .catch((error: unknown) => {
          if (error instanceof ToyRefusal)
            throw new PaymentError('verification-failed', `the ledger refuses: ${error.reason}`)
          throw error
        })
      return {
        status: 'success',
        method: 'ref',
        timestamp: new Date(at).toISOString(),
        reference: id,
        challengeId: context.challenge.id,
      }
    },
  }
  return method
}

async function onChain(
  { id, faulty, shop, refunds }: NonNullable<Settings['chain']>,
  reach: Reach,
): Promise<OnceMethod<never>> {
  // Loaded when they are needed: sellers are started by the hundred.
  const [{ tempo }, { privateKeyToAccount }] = await Promise.all([
    import('@mppkit/tempo/server'),
    import('viem/accounts'),
  ])
  const account = privateKeyToAccount(shop)
  const method = tempo.charge({
    recipient: account.address,
    chainId: id,
    rpcUrl: faulty,
    rpcTimeout: 6000,
    ...(refunds && { refund: { account } }),
  })
  return {
    ...method,
    async settle(parsed, context) {
      const receipt = await method.settle(parsed, context)
      await reach('broadcast-acked')
      return receipt
    },
  } satisfies typeof method as unknown as OnceMethod<never>
}

/** Without the guard "note before the side effect": nothing is written down, so nothing can be found again. */
function noteless(method: OnceMethod<never>): OnceMethod<never> {
  return {
    ...method,
    async parse(payload, challenge, request) {
      const { note: _, ...parsed } = await method.parse(payload, challenge, request)
      return parsed
    },
    settle(parsed, context) {
      return method.settle(parsed, blind(context))
    },
    find: () => Promise.resolve('unknown'),
  }
}

function blind<Context extends object>(context: Context): Context {
  return new Proxy(context, {
    get(target, name) {
      if (name === 'note') return () => Promise.resolve()
      if (name === 'noted') return undefined
      return Reflect.get(target, name, target) as unknown
    },
  })
}
