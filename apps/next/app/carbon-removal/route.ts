import { payment } from '@mppkit/next'
import { mpp, rail, refusal } from '../../lib/mpp.ts'

// Cents: the least that can be removed, and the most that we have.
const [LEAST, MOST] = [100, 50_000]

/** The buyer says how much to give, within bounds; anything else is refused before money is asked for. */
export const POST = mpp.charge({
  recipient: rail.payee('forest'),
  description: 'Carbon removal',
  async amount({ body }) {
    const { amount } = parse(await body())
    const cents = /^(0|[1-9]\d{0,5})\.\d\d$/.test(amount) ? Number(amount.replace('.', '')) : 0
    return cents < LEAST || cents > MOST ? refusal(422, 'amount: from "1.00" to "500.00"') : amount
  },
})((request: Request) => giveFor(request))

async function giveFor(request: Request): Promise<Response> {
  const { amount } = (await request.json()) as { amount: string }
  const kilograms = Number(amount) / 0.6
  return Response.json({ certificate: payment(request).id, amount, kilograms: Math.floor(kilograms) })
}

function parse(body: Uint8Array): { amount: string } {
  try {
    const { amount } = JSON.parse(new TextDecoder().decode(body)) as { amount?: unknown }
    return { amount: String(amount) }
  } catch {
    return { amount: '' }
  }
}
