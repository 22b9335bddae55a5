import type { Hex } from './address.ts'

/** Keccak-256 of UTF-8 text, as hex. */
export type HashText = (text: string) => Hex

/** The first four bytes of keccak256("mpp"), then version 1. */
const tag = '0xef1ed712'
const version = '01'
const anonymous = '0'.repeat(20)

/**
 * The memo that ties a transfer to one challenge:
 * tag (4 bytes), version (1), fingerprint of the realm (10), of the client (10, or zeros), of the challenge id (7).
 */
export function formatMemo(
  bound: { realm: string; challengeId: string; clientId?: string },
  hash: HashText,
): Hex {
  const client = bound.clientId === undefined ? anonymous : digits(hash(bound.clientId), 10)
  return `${tag}${version}${digits(hash(bound.realm), 10)}${client}${digits(hash(bound.challengeId), 7)}`
}

/** Whether a memo is of this kind, whatever it is bound to. */
export function isTagged(memo: Hex): boolean {
  return memo.startsWith(tag)
}

/** Recognises the memos of one challenge; the client may call itself anything. */
export function memoOf(
  bound: { realm: string; challengeId: string },
  hash: HashText,
): (memo: Hex) => boolean {
  const mine = formatMemo(bound, hash)
  const [start, end] = [mine.slice(0, 32), mine.slice(52)]
  //
  return (memo) => memo.length === 66 && memo.startsWith(start) && memo.endsWith(end)
}

function digits(hash: Hex, bytes: number): string {
  return hash.slice(2, 2 + 2 * bytes)
}
