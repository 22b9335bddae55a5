import { createMpp } from '@mppkit/next'
import { CONTENT, PRICE } from '../../peers.ts'
import { ourOptions } from '../peer.ts'

export const GET = createMpp(ourOptions()).charge(PRICE)(async () => Response.json(CONTENT))
