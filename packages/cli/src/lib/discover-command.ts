import { readArguments, readUrl, Usage, wantsHelp } from './arguments.ts'
import { fetchDocument } from './discover/document.ts'
import { judgeDocument } from './discover/judge.ts'
import { operationsOf, type Operation } from './discover/operations.ts'
import { probe } from './discover/probe.ts'
import { exitCode, tell, tellJson } from './report.ts'
import type { Surroundings } from './run.ts'

const HELP = `mppkit discover <origin>: reads /openapi.json and says what is sold, and for how much

  --probe                 ask each priced GET without parameters what it really costs, unpaid
  --all                   list what is in order as well
  --json                  operations and report as JSON

What is read is an announcement: the price is what the 402 says.
`

const options = { probe: { type: 'boolean' }, all: { type: 'boolean' }, json: { type: 'boolean' } } as const

/** `mppkit discover`. Resolves with the exit code. Throws `Usage` and `NoAnswer`. */
export async function discoverCommand(argv: string[], { out }: Surroundings): Promise<number> {
  if (wantsHelp(argv)) {
    out(HELP)
    return 0
  }
  const { about, values } = readArguments(argv, options, 'origin')
  const url = readUrl(about)
  if (url.pathname !== '/' || url.search !== '') throw new Usage(`give the origin alone: ${url.origin}`)
  const document = await fetchDocument(url.origin)
  const operations = operationsOf(document.value)
  const verdicts = judgeDocument(document, operations)
  if (values.probe) verdicts.push(...(await probe(url.origin, operations)))
  if (values.json) out(tellJson({ origin: url.origin, operations, verdicts }))
  else {
    const priced = operations.filter(({ offers }) => offers !== undefined && offers.length > 0)
    out(
      `${url.origin} sells\n${priced.length === 0 ? '  nothing that is announced\n' : priced.map(lineOf).join('')}\n`,
    )
    out(
      tell({
        head: document.url,
        verdicts,
        shows: values.all ? 'all' : 'faults',
        foot: 'The price is what the 402 says.',
      }),
    )
  }
  return exitCode(verdicts)
}

function lineOf({ method, path, offers = [] }: Operation): string {
  const prices = offers.map(
    ({ method: rail, intent, amount, currency, description }) =>
      `${amount ?? 'price on request'}${amount !== null && currency !== undefined ? ` ${currency}` : ''} by ${rail}/${intent}${description === undefined ? '' : ` (${description})`}`,
  )
  return `  ${printable(`${method} ${path}: ${prices.join(', or ')}`)}\n`
}

/** What a server sends must not steer a terminal. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, ' ')
}
