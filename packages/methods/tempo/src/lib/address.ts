import { keccak256 } from './keccak.ts'

/** Bytes as `0x` and hex digits. */
export type Hex = `0x${string}`

const ADDRESS = /^0x[0-9a-f]{40}$/i
const WORD = /^0x[0-9a-f]{64}$/i

/** Every TIP-20 token lives at an address with this beginning; a call to anything else may succeed and move nothing. */
const TIP20_PREFIX = '0x20c000000000000000000000'

/** The path token of the chain, the default currency: 6 decimals, worth one US dollar. */
export const pathUsd: Hex = '0x20c0000000000000000000000000000000000000'

/** Twenty bytes in hex, whatever the case of the letters. */
export function isAddress(value: unknown): value is Hex {
  return typeof value === 'string' && ADDRESS.test(value)
}

/** Thirty-two bytes in hex. */
export function isWord(value: unknown): value is Hex {
  return typeof value === 'string' && WORD.test(value)
}

/** Whether the address can be a token of the chain. */
export function isToken(address: Hex): boolean {
  return address.toLowerCase().startsWith(TIP20_PREFIX)
}

/** Lower case: the one spelling that every peer accepts, and the one that is compared. */
export function lower(hex: string): Hex {
  return hex.toLowerCase() as Hex
}

/**
 * A configured address in lower case. Throws `TypeError` naming `what` unless it is 20 bytes of hex;
 * mixed case must carry a valid checksum (EIP-55), for it is there to catch typing errors.
 */
export function checkAddress(value: unknown, what: string): Hex {
  if (!isAddress(value)) throw new TypeError(`${what} must be an address: 0x and 40 hex digits`)
  const digits = value.slice(2)
  const mixed = digits !== digits.toLowerCase() && digits !== digits.toUpperCase()
  if (mixed && value !== checksum(value)) {
    throw new TypeError(
      `${what} ${value} has a wrong checksum: a digit is mistyped, or write it all in lower case`,
    )
  }
  return lower(value)
}

/** The spelling of EIP-55. */
export function checksum(address: Hex): Hex {
  const digits = address.slice(2).toLowerCase()
  const hash = keccak256(new TextEncoder().encode(digits))
  const nibble = (i: number) => (hash[i >> 1]! >> (i % 2 === 0 ? 4 : 0)) & 15
  return `0x${Array.from(digits, (digit, i) => (nibble(i) > 7 ? digit.toUpperCase() : digit)).join('')}`
}
