const LANE = (1n << 64n) - 1n
/** Bytes absorbed per permutation at 256 bits. */
const RATE = 136

/**
 * Keccak-256 of a few bytes, slowly.
 * It exists so that addresses can be checked and memos written at construction, where the fast one would first have to be loaded.
 */
export function keccak256(data: Uint8Array): Uint8Array {
  const padded = new Uint8Array((Math.floor(data.length / RATE) + 1) * RATE)
  padded.set(data)
  padded[data.length]! ^= 0x01
  padded[padded.length - 1]! ^= 0x80
  const state = new BigUint64Array(25)
  const view = new DataView(padded.buffer)
  for (let block = 0; block < padded.length; block += RATE) {
    for (let lane = 0; lane < RATE / 8; lane++) state[lane]! ^= view.getBigUint64(block + lane * 8, true)
    permute(state)
  }
  const digest = new DataView(new ArrayBuffer(32))
  for (let lane = 0; lane < 4; lane++) digest.setBigUint64(lane * 8, state[lane]!, true)
  return new Uint8Array(digest.buffer)
}

function permute(a: BigUint64Array): void {
  const c = new BigUint64Array(5)
  const b = new BigUint64Array(25)
  for (const constant of CONSTANTS) {
    for (let x = 0; x < 5; x++) c[x] = a[x]! ^ a[x + 5]! ^ a[x + 10]! ^ a[x + 15]! ^ a[x + 20]!
    for (let x = 0; x < 5; x++) {
      const d = c[(x + 4) % 5]! ^ turn(c[(x + 1) % 5]!, 1)
      for (let y = 0; y < 25; y += 5) a[x + y]! ^= d
    }
    for (let i = 0; i < 25; i++) b[TARGETS[i]!] = turn(a[i]!, TURNS[i]!)
    for (let y = 0; y < 25; y += 5)
      for (let x = 0; x < 5; x++) a[x + y] = b[x + y]! ^ (~b[((x + 1) % 5) + y]! & b[((x + 2) % 5) + y]!)
    a[0]! ^= constant
  }
}

function turn(lane: bigint, by: number): bigint {
  const bits = BigInt(by)
  return ((lane << bits) | (lane >> (64n - bits))) & LANE
}

/** Where each lane goes and how far it turns (FIPS 202, steps rho and pi). */
const TARGETS = Array.from(
  { length: 25 },
  (_, i) => Math.floor(i / 5) + 5 * ((2 * (i % 5) + 3 * Math.floor(i / 5)) % 5),
)
const TURNS = turns()
const CONSTANTS = constants()

function turns(): number[] {
  const found: number[] = Array(25).fill(0)
  for (let t = 0, x = 1, y = 0; t < 24; t++) {
    found[x + 5 * y] = (((t + 1) * (t + 2)) / 2) % 64
    ;[x, y] = [y, (2 * x + 3 * y) % 5]
  }
  return found
}

/** The round constants, from their shift register (FIPS 202, step iota). */
function constants(): bigint[] {
  let register = 1
  const next = () => {
    const bit = register & 1
    register = register & 0x80 ? (register << 1) ^ 0x171 : register << 1
    return bit
  }
  return Array.from({ length: 24 }, () => {
    let constant = 0n
    for (let j = 0; j < 7; j++) if (next()) constant |= 1n << BigInt((1 << j) - 1)
    return constant
  })
}
