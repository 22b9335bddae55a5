/** What a transaction costs at most, in base units of a token with 6 decimals: gas prices count 10^-18. */
export function feeOf(gas: bigint, maxFeePerGas: bigint): bigint {
  return (gas * maxFeePerGas + 999_999_999_999n) / 1_000_000_000_000n
}
