/** Each category of goods is another trader's, who is paid at once; the hunter, from across the border, in euro. */
export const CATEGORIES = {
  beef: { recipient: 'butcher', currency: 'usd' },
  sausages: { recipient: 'smokehouse', currency: 'usd' },
  game: { recipient: 'hunter', currency: 'eur' },
} as const

export interface Goods {
  name: string
  category: keyof typeof CATEGORIES
  price: string
  /** Pieces. */
  stock: number
}

export const GOODS: Record<string, Goods> = {
  'rib-eye': { name: 'Rib eye, 300 g', category: 'beef', price: '18.50', stock: 1000 },
  brisket: { name: 'Brisket, 1 kg', category: 'beef', price: '14.00', stock: 1000 },
  bratwurst: { name: 'Bratwurst, a pair', category: 'sausages', price: '6.20', stock: 1000 },
  venison: { name: 'Venison, 500 g', category: 'game', price: '24.90', stock: 1 },
}
