import type { Incoming, Transport } from './seam.ts'

/** What stands in front of the server: how many proxies, or their addresses. */
export type TrustProxy = number | readonly string[]

export interface Peer {
  transport: Transport
  remote: string | undefined
  /** Whether a trusted hop said so, and not only the socket. */
  forwarded: boolean
}

/** Judges the transport and the client's address by the socket, and by `X-Forwarded-*` only where a hop is trusted. */
export function createPeerReader(trust: TrustProxy | undefined): (request: Incoming) => Peer {
  if (trust === undefined) return ({ transport, remote }) => ({ transport, remote, forwarded: false })
  if (typeof trust === 'number' && Number.isInteger(trust) && trust > 0)
    return (request) => forwarded(request, trust)
  if (!Array.isArray(trust))
    throw new TypeError(
      'mppkit: trustProxy must be the number of proxies in front (1 or more), or a list of their addresses or CIDRs',
    )
  const ranges = trust.map((item: unknown) => parseRange(String(item)))
  const trusted = (address: string | undefined): boolean => {
    const bytes = address === undefined ? undefined : parseAddress(address)
    return bytes !== undefined && ranges.some((range) => inRange(bytes, range))
  }
  return (request) => {
    if (!trusted(request.remote))
      return { transport: request.transport, remote: request.remote, forwarded: false }
    const chain = list(request.headers.get('x-forwarded-for'))
    let hops = 1
    while (hops <= chain.length && trusted(chain[chain.length - hops])) hops++
    return forwarded(request, Math.min(hops, Math.max(chain.length, 1)))
  }
}

function forwarded(request: Incoming, hops: number): Peer {
  const addresses = list(request.headers.get('x-forwarded-for'))
  const protocols = list(request.headers.get('x-forwarded-proto'))
  // Each hop appends; a proxy that overwrites leaves a single entry.
  const protocol = (
    protocols.length < hops ? protocols[0] : protocols[protocols.length - hops]
  )?.toLowerCase()
  const transport = protocol === 'https' ? 'tls' : protocol === 'http' ? 'plain' : request.transport
  return {
    transport,
    remote: addresses[addresses.length - hops] ?? request.remote,
    forwarded: protocol !== undefined,
  }
}

function list(field: string | null): string[] {
  return field === null
    ? []
    : field
        .split(',')
        .map((item) => item.trim())
        .filter((item) => item !== '')
}

interface Range {
  bytes: number[]
  bits: number
}

function parseRange(text: string): Range {
  const [address = '', length] = text.split('/')
  const bytes = parseAddress(address)
  const bits =
    length === undefined ? (bytes?.length ?? 0) * 8 : /^\d{1,3}$/.test(length) ? Number(length) : -1
  if (!bytes || bits < 0 || bits > bytes.length * 8)
    throw new TypeError(
      `mppkit: trustProxy holds ${JSON.stringify(text)}, which is no IP address or CIDR range`,
    )
  return { bytes, bits }
}

function inRange(bytes: number[], range: Range): boolean {
  if (bytes.length !== range.bytes.length) return false
  for (let bit = 0; bit < range.bits; bit += 8) {
    const mask = 0xff & (0xff00 >> Math.min(range.bits - bit, 8))
    const at = bit / 8
    if (((bytes[at] as number) & mask) !== ((range.bytes[at] as number) & mask)) return false
  }
  return true
}

/** 4 bytes, or 16; IPv4-mapped IPv6 counts as IPv4. */
function parseAddress(text: string): number[] | undefined {
  const plain = text.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, '')
  const v4 = parseV4(plain.replace(/^::ffff:/i, ''))
  if (v4 || !plain.includes(':')) return v4
  const halves = plain.split('::')
  if (halves.length > 2) return undefined
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')))
  const known = groups.reduce((sum, half) => sum + half.length, 0)
  if (halves.length === 2 ? known > 7 : known !== 8) return undefined
  const filled =
    halves.length === 2
      ? [...(groups[0] ?? []), ...Array<string>(8 - known).fill('0'), ...(groups[1] ?? [])]
      : (groups[0] ?? [])
  if (!filled.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined
  return filled.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff])
}

function parseV4(text: string): number[] | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256))
    return undefined
  return parts.map(Number)
}
