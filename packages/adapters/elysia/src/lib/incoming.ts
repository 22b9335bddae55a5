import { peerOf, type Beside, type Incoming, type Transport } from '@mppkit/server'
import { readCopy } from './body.ts'

/** What the adapter needs of Elysia's context; `server` is Bun's. */
export interface Asked {
  request: Request
  server?: Pick<Beside, 'requestIP' | 'url'> | null | undefined
}

/** Node's own request and response, where `@elysiajs/node` runs the app. */
export function besideOf(request: Request): NodeBeside | undefined {
  const node = (request as { runtime?: { node?: { req?: object; res?: object } } }).runtime?.node
  return node?.req && node.res ? ({ incoming: node.req, outgoing: node.res } as NodeBeside) : undefined
}

type NodeBeside = Beside & { incoming: { readableDidRead?: boolean } }

// A class, because an object with getters costs more than the rest of an unpaid request together.
export class ElysiaIncoming implements Incoming {
  readonly method: string
  readonly target: string
  readonly headers: Headers
  readonly transport: Transport
  readonly remote: string | undefined
  /** The gate gave the body up: nobody else should read it. */
  refused = false
  readonly #request: Request
  readonly #beside: NodeBeside | undefined
  #bytes: Promise<Uint8Array> | undefined

  constructor({ request, server }: Asked) {
    this.method = request.method
    this.headers = request.headers
    this.#request = request
    this.#beside = besideOf(request)
    // Node shows what came over the wire; elsewhere the URL of a Request was normalised, before it was routed.
    this.target = isSound(request.url) ? (this.#beside?.incoming.url ?? pathOf(request.url)) : UNSOUND
    const { transport, remote } = peerOf(this.#beside ?? server ?? undefined, request)
    this.transport = transport
    this.remote = remote
  }

  get signal(): AbortSignal {
    return this.#request.signal
  }

  body(limit: number): Promise<Uint8Array> {
    return (this.#bytes ??= readCopy(this.#request, limit, this.#beside?.incoming).catch((error: unknown) => {
      this.refused = true
      throw error
    }))
  }
}

/** Elysia takes the path from its eleventh character on, so a host of few letters, or none, shifts what is routed. */
function isSound(url: string): boolean {
  return /^https?:\/\/[^/]+\//.exec(url)?.[0].length === url.indexOf('/', 11) + 1
}

/** A target that every gate refuses. */
const UNSOUND = '//'

function pathOf(url: string): string {
  return url.slice(url.indexOf('/', 11))
}
