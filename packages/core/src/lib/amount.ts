const DECIMAL = /^(0|[1-9][0-9]*)(?:\.([0-9]+))?$/
const BASE_UNITS = /^(?:0|[1-9][0-9]*)$/
/** 2^256 - 1 has 78 digits. */
const MAX_DIGITS = 78

/**
 * A decimal string in whole units (`"0.01"`) to base units. Throws `TypeError`: no sign, no exponent, no leading zeros,
 * no more than `decimals` digits behind the point.
 */
export function parseAmount(text: string, decimals: number): bigint {
  checkDecimals(decimals)
  const match = typeof text === 'string' && text.length <= 2 * MAX_DIGITS ? DECIMAL.exec(text) : null
  if (match === null) throw new TypeError(`not an amount: write a decimal string such as "0.01"`)
  const [, whole = '', fraction = ''] = match
  if (fraction.length > decimals) {
    throw new TypeError(`"${text}" is finer than the currency, which has ${decimals} decimals`)
  }
  const digits = whole + fraction.padEnd(decimals, '0')
  if (digits.length > 2 * MAX_DIGITS) throw new TypeError(`"${text}" is too large`)
  return BigInt(digits)
}

/** Base units to a decimal string without trailing zeros. Throws `TypeError` for impossible `decimals`. */
export function formatAmount(units: bigint, decimals: number): string {
  checkDecimals(decimals)
  const digits = (units < 0n ? -units : units).toString().padStart(decimals + 1, '0')
  const whole = digits.slice(0, digits.length - decimals)
  let end = digits.length
  while (end > whole.length && digits.charCodeAt(end - 1) === 0x30) end--
  const fraction = digits.slice(whole.length, end)
  return `${units < 0n ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`
}

/**
 * A string of base units on the wire (`^(0|[1-9][0-9]*)$`, at most 78 digits) to bigint; undefined if it is none.
 *
 * @see draft-payment-intent-charge-00, "Request schema"
 */
export function parseBaseUnits(text: unknown): bigint | undefined {
  if (typeof text !== 'string' || text.length > MAX_DIGITS || !BASE_UNITS.test(text)) return undefined
  return BigInt(text)
}

function checkDecimals(decimals: number): void {
  if (!Number.isInteger(decimals) || decimals < 0 || decimals > MAX_DIGITS) {
    throw new TypeError(`decimals must be an integer from 0 to ${MAX_DIGITS}`)
  }
}
