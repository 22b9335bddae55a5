import {
  formatTime,
  PaymentError,
  type Context,
  type JsonObject,
  type Noted,
  type Receipt,
} from '@mppkit/core'
import { lower, type Hex } from '../address.ts'
import { heavy } from '../heavy.ts'
import { keyOf, readLane, usersOf, type Lane, type Standing } from '../lane.ts'
import type { Return } from '../refunder.ts'
import type { MinedTransaction } from '../settlement.ts'
import { readTransfers } from '../transfers.ts'
import { readPaid } from './paid.ts'
import type { UsualTerms } from './quote.ts'
import { secondsOf, type Rail } from './rail.ts'

/** The transaction that was last made to return a payment: what is needed to find it, and to make it again. */
export interface RefundNote {
  hash: Hex
  account: Hex
  /** Key of its lane, as hex. */
  key: Hex
  nonce: number
  validBefore: number
}

/** What is known of a noted transaction; `open`: it may still be mined, `used`: another one took its nonce. */
type Fate = MinedTransaction | 'open' | 'used' | 'over'

/** What is to be done for one payment. */
interface Task {
  due: Return
  lane: Lane
  /** The block of the payment: nothing was returned before it. */
  fromBlock: number
}

/** Seconds that a refund lives at least, and steps of its end: instances that run at once make the same transaction. */
const least = 30
const step = 30
/** Seconds before its end in which the chain does not take a transaction any more. */
const late = 5

/**
 * Returns a payment to its payer, once. The fence stands on the chain, for ever: every refund of a payment, whoever makes it and
 * whenever it arrives, is in the lane of nonces that stands for this payment; the next nonce is signed only when all before it are known
 * to have been reverted. What is mined in the lane is looked up there, so that a process that knows of nothing finds it.
 * @throws PaymentError when nothing was returned and nothing will be.
 */
export async function refund(
  receipt: Receipt,
  by: { id: string },
  context: Noted,
  rail: Rail,
  usual: UsualTerms,
): Promise<Receipt> {
  const noted = context.noted === undefined ? undefined : readRefundNote(context.noted)
  const fate = noted && (await fateOf(noted, context, rail))
  // Before anything is judged: the options may have changed since, and what has been returned has been returned.
  if (isMined(fate) && fate.status === '0x1') return receiptOf(fate, receipt.externalId, context, rail)
  const task = await taskOf(receipt, by, context, rail, usual).catch((error: unknown) => {
    if (fate === undefined || !(error instanceof PaymentError) || fate === 'over' || isMined(fate))
      throw error
    throw new Error('an earlier refund of this payment may have been mined', { cause: error })
  })
  const isHere = noted?.account === task.lane.account && BigInt(noted.key) === task.lane.key
  const before = noted && fate && !isHere ? await doneElsewhere(noted, fate, task, context, rail) : undefined
  if (before) return receiptOf(before, receipt.externalId, context, rail)
  const standing = await readLane(task.lane, rail.rpc, context.signal)
  const open = isHere && fate === 'open' ? noted : undefined
  const mined =
    (await doneIn(task, standing, context, rail)) ?? (await send(task, standing, open, context, rail))
  return receiptOf(mined, receipt.externalId, context, rail)
}

/** Looks for the noted transaction alone. */
export async function findRefund(
  noted: RefundNote,
  context: Context,
  rail: Rail,
): Promise<Receipt | 'not-moved' | 'unknown'> {
  const fate = await fateOf(noted, context, rail)
  if (fate === 'open' || fate === 'used') return 'unknown'
  if (fate === 'over' || fate.status === '0x0') return 'not-moved'
  const { externalId } = context.request
  return receiptOf(fate, typeof externalId === 'string' ? externalId : undefined, context, rail)
}

/** Undefined if the note is of something else: of the payment itself. */
export function readRefundNote(text: string): RefundNote | undefined {
  return (JSON.parse(text) as { refund?: RefundNote }).refund
}

async function fateOf(noted: RefundNote, context: Context, rail: Rail): Promise<Fate> {
  const { account, hash, key, nonce, validBefore } = noted
  const mined = await rail.settlement.receipt(hash, context.signal)
  if (mined) return mined
  const { used, time } = await readLane({ account, key: BigInt(key) }, rail.rpc, context.signal)
  if (used > nonce) return 'used'
  return time >= validBefore ? 'over' : 'open'
}

/** What is owed, and the lane that stands for it. */
async function taskOf(
  receipt: Receipt,
  by: { id: string },
  context: Context,
  rail: Rail,
  usual: UsualTerms,
): Promise<Task> {
  const { address, returnsFor } = rail.refunder!
  const { payer, currency, amount, recipient, mark, block } = await readPaid(receipt, context, rail, usual)
  if (!returnsFor(recipient)) {
    throw new PaymentError(
      'verification-failed',
      `${recipient} was paid, for whom ${address} returns nothing: list it in refund.recipients.`,
    )
  }
  const tools = await heavy()
  const memo = tools.hashText(`mppkit: refund ${by.id} of ${mark}`)
  return {
    due: { payer, currency, amount, memo },
    lane: { account: address, key: keyOf(`mppkit: refund of ${mark}`, tools) },
    fromBlock: block,
  }
}

/** With another account, or of other terms, the fence was another one: nothing is sent before it is known what became of that refund. */
async function doneElsewhere(
  noted: RefundNote,
  fate: Fate,
  task: Task,
  context: Context,
  rail: Rail,
): Promise<MinedTransaction | undefined> {
  if (fate === 'open')
    throw new Error(`a refund from ${noted.account} may still be mined: its end is not certain yet`)
  if (fate !== 'used') return undefined
  const lane = { account: noted.account, key: BigInt(noted.key) }
  return doneIn({ ...task, lane }, await readLane(lane, rail.rpc, context.signal), context, rail)
}

/** The refund that was mined in the lane. Undefined if every transaction in it was reverted. */
async function doneIn(
  { due, lane, fromBlock }: Task,
  standing: Standing,
  context: Context,
  rail: Rail,
): Promise<MinedTransaction | undefined> {
  if (standing.used === 0) return undefined
  const hashes = await usersOf(lane, standing, fromBlock, rail.rpc, context.signal)
  for (const hash of hashes) {
    const mined = await rail.settlement.receipt(hash, context.signal)
    if (!mined)
      throw new Error(`transaction ${hash} has returned this payment, or has failed: it is not found`)
    if (mined.status === '0x0') continue
    if (returns(mined, due, lane.account)) return mined
    throw new PaymentError('verification-failed', `Transaction ${hash} has returned this payment already.`)
  }
  return undefined
}

/** Notes, then sends; what can still be mined is made and sent again as it was. */
async function send(
  task: Task,
  { used, time }: Standing,
  open: RefundNote | undefined,
  context: Noted,
  rail: Rail,
): Promise<MinedTransaction> {
  const { due, lane } = task
  const refunder = rail.refunder!
  const now = Math.max(time, secondsOf(context))
  const feeToken = await refunder.rehearse(due, rail.rpc, context.signal)
  const validBefore = open ? open.validBefore : Math.ceil((now + least) / step) * step
  if (validBefore < now + late) throw new Error('the end of an earlier refund is not certain yet')
  const slot = { key: lane.key, nonce: used, validBefore, feeToken }
  const { bytes, hash } = await refunder.sign(due, slot)
  if (hash !== open?.hash) await context.note(writeRefundNote({ ...slot, hash, account: lane.account }))
  const mined = await land(bytes, hash, task, used, context, rail)
  if (mined.status === '0x0')
    throw new Error(`refund ${hash} was reverted; its fee is lost, it is tried again`)
  if (!returns(mined, due, refunder.address))
    throw new Error(`refund ${hash} was mined, but its events do not show it`)
  return mined
}

/** Another process may have been faster, with a transaction of its own. */
async function land(
  bytes: Hex,
  hash: Hex,
  task: Task,
  nonce: number,
  context: Context,
  rail: Rail,
): Promise<MinedTransaction> {
  try {
    return await rail.settlement.send(bytes, hash, context.signal)
  } catch (error) {
    const standing = await readLane(task.lane, rail.rpc, context.signal)
    const done = standing.used > nonce ? await doneIn(task, standing, context, rail) : undefined
    if (done) return done
    throw error
  }
}

/** The memo is of one payment and one id, so that it need not be asked how much. */
function returns(mined: MinedTransaction, due: Return, account: Hex): boolean {
  return readTransfers(mined.logs, due.currency).some(
    ({ from, recipient, memo }) => from === account && recipient === due.payer && memo === due.memo,
  )
}

function isMined(fate: Fate | undefined): fate is MinedTransaction {
  return typeof fate === 'object'
}

function writeRefundNote(note: Omit<RefundNote, 'key'> & { key: bigint }): string {
  const { hash, account, key, nonce, validBefore } = note
  const refund: JsonObject = { hash, account, key: `0x${key.toString(16)}`, nonce, validBefore }
  return JSON.stringify({ refund })
}

async function receiptOf(
  mined: MinedTransaction,
  externalId: string | undefined,
  context: Context,
  rail: Rail,
): Promise<Receipt> {
  return {
    status: 'success',
    method: 'tempo',
    timestamp: formatTime(await rail.settlement.minedAt(mined, context.signal)),
    reference: lower(mined.transactionHash),
    challengeId: context.challenge.id,
    ...(externalId === undefined ? undefined : { externalId }),
  }
}
