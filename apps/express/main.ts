// Letters, printed and mailed: each priced from its own pages, colour and country, and posted once however often it is asked for.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { DatabaseSync } from 'node:sqlite'
import { formatAmount } from '@mppkit/core'
import { createMpp, payment } from '@mppkit/express'
import { sqliteStore } from '@mppkit/sqlite'
import express from 'express'
import { openRail } from '../lib/rail.ts'
import { listening, run, type App, type AppOptions } from '../lib/run.ts'

interface Letter {
  to: string
  country: string
  text: string
  pages: number
  colour: boolean
}

// Cents.
const POSTAGE: Record<string, bigint> = { CH: 110n, DE: 95n, US: 73n }
const PAGE = { black: 15n, colour: 40n }

/** Starts the letter shop. */
export async function start({
  port = 0,
  rail: named = 'toy',
  db = ':memory:',
}: AppOptions = {}): Promise<App> {
  const rail = await openRail(named)
  const outbox = openOutbox(db)
  const store = sqliteStore({ path: db })
  const mpp = createMpp({
    realm: 'letters.example',
    secret: process.env.MPP_SECRET_KEY ?? 'for-this-example-only-32-bytes-min',
    store,
    methods: rail.methods,
    onEvent: ({ type, id }) => console.log(`${type}: letter ${id}`),
  })
  await mpp.check()

  const app = express()
  app.get('/', (_req, res) => void res.json({ sells: 'letters', countries: Object.keys(POSTAGE) }))
  // Who is handed a letter's id, which nobody can guess, may look it up.
  app.get('/letters/:id', (req, res) => {
    const letter = outbox.find(req.params.id)
    res.status(letter ? 200 : 404).json(letter ?? { detail: 'no such letter' })
  })
  const perPiece = mpp.charge({
    description: 'A letter, printed and mailed',
    async amount({ body }) {
      const letter = readLetter(await body())
      if (typeof letter !== 'string') return formatAmount(costOf(letter), 2)
      // Refused before anybody is asked for money.
      const headers: [string, string][] = [['Content-Type', 'application/json']]
      return { status: 422, headers, body: JSON.stringify({ detail: letter }) }
    },
  })
  // As bytes, and read as the price has read them: a parser that took a charset or a compression from the buyer would print
  // another letter than the one that was paid for.
  const bytes = express.raw({ type: () => true, inflate: false, limit: '1mb' })
  app.post('/letters', perPiece, bytes, async (req, res) => {
    // The id makes "post" safe to repeat.
    const { id } = payment(req)
    const letter = readLetter(req.body as Uint8Array) as Letter
    outbox.post(id, letter)
    await printed(letter)
    res.status(201).location(`/letters/${id}`).json(outbox.find(id))
  })

  const server = createServer(app).listen(port, '127.0.0.1')
  await once(server, 'listening')
  return listening(server, { rail, mpp, store })
}

/** What is wrong with it, or the letter. */
function readLetter(body: Uint8Array): Letter | string {
  let letter: Partial<Letter>
  try {
    letter = JSON.parse(new TextDecoder().decode(body)) as Partial<Letter>
  } catch {
    return 'the body must be JSON'
  }
  const { to, country = '', text, pages = 0, colour } = letter ?? {}
  if (typeof to !== 'string' || to === '') return 'to: whom does it go to?'
  if (typeof text !== 'string') return 'text: what does it say?'
  if (!Object.hasOwn(POSTAGE, country)) return `country: we mail to ${Object.keys(POSTAGE).join(', ')}`
  if (!Number.isInteger(pages) || pages < 1 || pages > 20) return 'pages: 1 to 20'
  if (typeof colour !== 'boolean') return 'colour: true or false'
  return letter as Letter
}

function costOf({ pages, colour, country }: Letter): bigint {
  return POSTAGE[country]! + BigInt(pages) * (colour ? PAGE.colour : PAGE.black)
}

/** A simulated printer: 20 ms a page. */
async function printed({ pages }: Letter): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 20 * pages))
}

function openOutbox(path: string) {
  const database = new DatabaseSync(path)
  database.exec('CREATE TABLE IF NOT EXISTS outbox (id TEXT PRIMARY KEY, recipient TEXT, letter TEXT)')
  const insert = database.prepare('INSERT OR IGNORE INTO outbox VALUES (?, ?, ?)')
  const select = database.prepare('SELECT id, recipient, letter FROM outbox WHERE id = ?')
  return {
    post: (id: string, letter: Letter) => insert.run(id, letter.to, JSON.stringify(letter)),
    find: (id: string) => select.get(id),
  }
}

if (import.meta.main)
  await run(start, '/letters', '{"to":"Ada","country":"CH","text":"Hi!","pages":2,"colour":false}')
