/** A decimal string in whole units (`"0.01"`) to base units. Throws `TypeError`: no sign, no exponent, nothing finer than `decimals`. */
export function parseAmount(text: string, decimals: number): bigint {
  throw new Error(`pending ${text} ${decimals}`)
}

/** Base units to a decimal string without trailing zeros. */
export function formatAmount(units: bigint, decimals: number): string {
  throw new Error(`pending ${units} ${decimals}`)
}

/** A string of base units on the wire (`^(0|[1-9][0-9]*)$`, at most 78 digits) to bigint; undefined if it is none. */
export function parseBaseUnits(text: unknown): bigint | undefined {
  throw new Error(`pending ${text}`)
}
