import { mpp } from '../../../lib/mpp.ts'
import { GET as free } from '../../free/[kind]/route.ts'

export const { GET, POST } = mpp.charge({ amount: '0.01' }).all({ GET: free, POST: free })
