import { memoryStore, type MppOptions } from '@mppkit/server'
import { ourToy, PRICE, REALM, SECRET, theirToy } from '../peers.ts'

/** Who guards the route: nobody, the floor, mppkit or mppx. */
export type Peer = 'bare' | 'floor' | 'ours' | 'mppx'

/** A server with one paid route. */
export interface Served {
  port: number
  target: string
}

/** Where the paid route is, except in Next. */
export const TARGET = '/photos'

type OurOptions = MppOptions<readonly ReturnType<typeof ourToy>[]>

/** What mppkit is given in every framework: an origin, as in production, and a store that never fills up. */
export function ourOptions(): OurOptions {
  return {
    realm: REALM,
    secret: SECRET,
    methods: [ourToy()],
    store: memoryStore({ max: 10_000_000 }),
    origin: 'http://localhost',
  }
}

/** What mppx is given in every framework. */
export async function theirOptions() {
  return { methods: [await theirToy()], secretKey: SECRET, realm: REALM }
}

/** mppx's types know no `charge` of a rail that is not its own. */
export function chargeOf<Guard>(mppx: object): Guard {
  return (mppx as { charge(price: typeof PRICE): Guard }).charge(PRICE)
}
