/** @throws TypeError if `options` are none, or if one of them has a name that nobody knows. */
export function checkOptions(
  options: unknown,
  known: Readonly<Record<string, true>>,
  what: string,
  example: string,
): void {
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`${what} needs options: ${example}`)
  const names = Object.keys(known)
  for (const name of Object.keys(options)) {
    if (!names.includes(name))
      throw new TypeError(`${what} has no option ${name}: it has ${names.join(', ')}`)
  }
}

/** Milliseconds that the node has for an answer. */
export function checkTimeout(value = 15_000): number {
  if (!Number.isInteger(value) || value < 1)
    throw new TypeError('rpcTimeout must be a positive whole number of milliseconds')
  return value
}

/** @throws TypeError for a number: sums and prices are too large for it. */
export function checkBigint(value: unknown, what: string): void {
  if (typeof value !== 'bigint') throw new TypeError(`${what} must be a bigint, e.g. 400_000n`)
}
