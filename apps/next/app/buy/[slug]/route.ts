import { payment } from '@mppkit/next'
import { CATEGORIES, GOODS, type Goods } from '../../../lib/counter.ts'
import { mpp, orders, rail, refusal } from '../../../lib/mpp.ts'

const counter = new Map(Object.entries(GOODS).map(([slug, goods]) => [slug, sell(slug, goods)]))

export function GET(request: Request, context: { params: Promise<{ slug: string }> }): Promise<Response> {
  return context.params.then(({ slug }) => {
    const buy = counter.get(slug)
    return buy ? buy(request) : Response.json({ detail: 'we have no such thing' }, { status: 404 })
  })
}

/** A counter for one kind of goods: its own price, paid to whom and in what its category says. */
function sell(slug: string, goods: Goods): (request: Request) => Promise<Response> {
  const { recipient, currency } = CATEGORIES[goods.category]
  const gate = mpp.charge({
    // A function, because who has paid already must not hear that all is sold.
    amount: () => (left(goods) > 0 ? goods.price : refusal(409, 'sold out')),
    recipient: rail.payee(recipient),
    currency: rail.currency(currency),
    description: goods.name,
    meta: { slug },
  })
  return gate((request: Request) => {
    const { id } = payment(request)
    if (!orders.has(id) && left(goods) < 1) return Response.json({ detail: 'sold out' }, { status: 409 })
    // Taken once, however often the handler is started.
    orders.set(id, goods)
    return Response.json({ order: id, goods: goods.name, from: recipient })
  })
}

function left(goods: Goods): number {
  return goods.stock - [...orders.values()].filter((sold) => sold === goods).length
}
