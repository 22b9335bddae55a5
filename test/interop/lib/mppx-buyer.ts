import { Mppx, tempo } from 'mppx/client'
import type { PrivateKeyAccount } from 'viem/accounts'
import type { Chain } from './chain.ts'

/** The client of mppx, and every credential that it made. */
export interface MppxBuyer {
  fetch: typeof globalThis.fetch
  /** The other way of mppx: asks first, and pays when told to. */
  prepare(url: string): Promise<{ pay(): Promise<Response> }>
  credentials: string[]
  /** Called with each credential before it is sent. */
  onCredential?: (credential: string) => void | Promise<void>
}

/** A buyer on mppx as its documentation has it, but for the global fetch, which stays as it is. */
export function mppxBuyer(
  chain: Chain,
  account: PrivateKeyAccount,
  options: { mode?: 'pull' | 'push'; acceptPaymentPolicy?: 'always' | 'never' } = {},
): MppxBuyer {
  const { mode, ...rest } = options
  const mppx = Mppx.create({
    polyfill: false,
    methods: [tempo({ account, getClient: () => chain.client({ account }), ...(mode && { mode }) })],
    ...rest,
  })
  const buyer: MppxBuyer = {
    fetch: mppx.fetch as typeof globalThis.fetch,
    async prepare(url) {
      const { payment } = await mppx.prepareRequest(url, undefined, { requirePayment: true })
      return { pay: () => payment.pay() }
    },
    credentials: [],
  }
  mppx.onCredentialCreated(async ({ credential }) => {
    buyer.credentials.push(credential)
    await buyer.onCredential?.(credential)
  })
  return buyer
}
