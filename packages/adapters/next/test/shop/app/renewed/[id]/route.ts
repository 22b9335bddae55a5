import { mpp } from '../../../lib/mpp.ts'

export const revalidate = 60

export function generateStaticParams(): { id: string }[] {
  return [{ id: 'known' }]
}

let count = 0

export const GET = mpp.charge({ amount: '0.01' })(() => Response.json({ count: (count += 1) }))
