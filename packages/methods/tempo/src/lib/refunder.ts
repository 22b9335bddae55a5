import { formatAmount, parseAmount } from '@mppkit/core'
import type { TxEnvelopeTempo } from 'ox/tempo/TxEnvelopeTempo'
import { checkAccount, checkSigner, type SigningAccount } from './account.ts'
import { checkAddress, isAddress, isToken, lower, pathUsd, type Hex } from './address.ts'
import { balanceCall, currencyCall, isUsd, returnedWord, transferCall } from './calls.ts'
import { feeOf } from './fees.ts'
import { heavy } from './heavy.ts'
import type { Lane } from './lane.ts'
import { checkBigint, checkOptions } from './options.ts'
import type { Rpc } from './rpc.ts'
import { simulate } from './simulation.ts'

/** Who returns money to buyers, and at which cost. */
export interface Refunder {
  /**
   * A local secp256k1 account: that of the recipient, unless `recipients` says otherwise. It returns all that the buyer has paid, what
   * splits have got included, and pays the fee.
   */
  account: SigningAccount
  /** Addresses whose payments `account` returns as well as its own, e.g. a treasury that cannot sign here. */
  recipients?: readonly string[]
  /** The token that fees are paid in, a USD token; default: the token that is returned, or pathUSD where that is no USD token. */
  feeToken?: string
  /** What one refund may cost at most, in whole units of `feeToken`; default 0.05. It must be there, though much less is used. */
  maxFee?: string
  /** Gas of one refund; default 1,000,000. With `maxFee` it says what is paid per gas at most: by default 50e9 attodollars. */
  maxGas?: bigint
  /** The part of it that goes to the validator; default 1e9. */
  maxPriorityFeePerGas?: bigint
}

/** Money on its way back. */
export interface Return {
  payer: Hex
  currency: Hex
  /** Base units. */
  amount: bigint
  memo: Hex
}

/** A refunder, checked. */
export interface Refunding {
  address: Hex
  /** Whether payments to this address are returned. */
  returnsFor(recipient: Hex): boolean
  /** Tries the transfer out, and looks whether it can be paid for; one call to the node. Resolves with the token for the fee. */
  rehearse(due: Return, rpc: Rpc, signal: AbortSignal): Promise<Hex>
  /** Makes the transaction; the same in all that it is given is the same transaction. */
  sign(due: Return, slot: Slot): Promise<{ bytes: Hex; hash: Hex }>
}

/** Where a refund stands in its lane, and until when (Unix seconds) it can be mined. */
export interface Slot {
  key: Lane['key']
  nonce: number
  validBefore: number
  feeToken: Hex
}

const known: Record<keyof Refunder, true> = {
  account: true,
  recipients: true,
  feeToken: true,
  maxFee: true,
  maxGas: true,
  maxPriorityFeePerGas: true,
}

/** @throws TypeError saying what is wrong with the options. */
export function createRefunder(options: Refunder, recipient: string, chainId: number): Refunding {
  if (isAddress((options as { address?: unknown } | undefined)?.address))
    throw new TypeError('refund must be { account }, not the account itself')
  checkOptions(options, known, 'refund', 'refund: { account }')
  const account = checkSigner(checkRefundAccount(options.account))
  const address = lower(account.address)
  const served = checkRecipients(options.recipients).add(address)
  if (!served.has(lower(recipient))) {
    throw new TypeError(
      `refund.account is ${address}, but ${recipient} is paid: give the account of the recipient, or list the recipient in refund.recipients`,
    )
  }
  const feeToken =
    options.feeToken === undefined ? undefined : checkAddress(options.feeToken, 'refund.feeToken')
  if (feeToken !== undefined && !isToken(feeToken))
    throw new TypeError('refund.feeToken must be a TIP-20 token (0x20c0…)')
  const gas = options.maxGas ?? 1_000_000n
  checkBigint(gas, 'refund.maxGas')
  const maxFee = parseAmount(options.maxFee ?? '0.05', 6)
  if (gas <= 0n || maxFee <= 0n) throw new TypeError('refund.maxGas and refund.maxFee must be positive')
  const maxFeePerGas = (maxFee * 1_000_000_000_000n) / gas
  const maxPriorityFeePerGas = options.maxPriorityFeePerGas ?? smaller(1_000_000_000n, maxFeePerGas)
  checkBigint(maxPriorityFeePerGas, 'refund.maxPriorityFeePerGas')
  if (maxPriorityFeePerGas < 0n || maxPriorityFeePerGas > maxFeePerGas)
    throw new TypeError(
      `refund.maxFee comes to ${maxFeePerGas} per gas: refund.maxPriorityFeePerGas must not be more`,
    )

  async function rehearse(due: Return, rpc: Rpc, signal: AbortSignal): Promise<Hex> {
    const spare = feeToken ?? pathUsd
    const [own, stands, other, transfer] = await simulate(
      rpc,
      [
        { from: address, ...balanceCall(due.currency, address) },
        { from: address, ...currencyCall(due.currency) },
        { from: address, ...balanceCall(spare, address) },
        { from: address, ...transferCall(due.currency, { ...due, recipient: due.payer }) },
      ],
      signal,
    )
    const token = feeToken ?? (isUsd(stands!.returned) ? due.currency : pathUsd)
    const fee = feeOf(gas, maxFeePerGas)
    const wanted = new Map([[due.currency, due.amount]])
    wanted.set(token, (wanted.get(token) ?? 0n) + fee)
    for (const [of, needed] of wanted) {
      const held = returnedWord((of === due.currency ? own : other)!.returned, 0) ?? 0n
      if (held < needed) {
        const [has, wants] = [held, needed].map((units) => formatAmount(units, 6))
        throw new Error(`the refund account ${address} holds ${has} of ${of} and needs ${wants}: top it up`)
      }
    }
    if (!transfer!.succeeded)
      throw new Error(`the token ${due.currency} lets ${address} send nothing to ${due.payer}`)
    return token
  }

  async function sign(due: Return, slot: Slot): Promise<{ bytes: Hex; hash: Hex }> {
    const { Envelope, Signatures, keccak } = await heavy()
    const envelope: TxEnvelopeTempo = {
      type: 'tempo',
      chainId,
      calls: [transferCall(due.currency, { ...due, recipient: due.payer })],
      gas,
      maxFeePerGas,
      maxPriorityFeePerGas,
      nonceKey: slot.key,
      nonce: BigInt(slot.nonce),
      validBefore: slot.validBefore,
      feeToken: slot.feeToken,
    }
    const signature = Signatures.from(await account.sign(Envelope.getSignPayload(envelope)))
    const bytes = Envelope.serialize(envelope, { signature })
    return { bytes, hash: keccak(bytes) }
  }

  return { address, returnsFor: (to) => served.has(to), rehearse, sign }
}

/** Other kinds of accounts sign differently each time, and an access key may lose its right while a refund is under way. */
function checkRefundAccount(account: SigningAccount): ReturnType<typeof checkAccount> {
  const signing = checkAccount(account, 'refund.account')
  const { keyType = 'secp256k1', source } = account as { keyType?: string; source?: string }
  if (keyType !== 'secp256k1' || source === 'accessKey')
    throw new TypeError('refund.account must be a secp256k1 account of its own, and no access key')
  return signing
}

function checkRecipients(recipients: readonly string[] | undefined): Set<Hex> {
  if (recipients !== undefined && (!Array.isArray(recipients) || recipients.length === 0))
    throw new TypeError('refund.recipients must list addresses: leave it out if there are none')
  return new Set(recipients?.map((one, i) => checkAddress(one, `refund.recipients[${i}]`)))
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
