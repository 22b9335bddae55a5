import { conform, questions, type Report } from '@mppkit/testing/conform'
import { readArguments, readChoice, wantsHelp } from './arguments.ts'
import { PAYER_HELP, payerOf, payerOptions } from './payer.ts'
import { exitCode, tell, tellJson } from './report.ts'
import type { Surroundings } from './run.ts'
import { TARGET_HELP, targetOf, targetOptions } from './target.ts'

const HELP = `mppkit conform <url>: asks a running server, in any language, what the drafts say of it

${TARGET_HELP}

${PAYER_HELP}

  --profile mppkit        ask also what mppkit promises beyond the drafts; sends POST, PUT, PATCH and DELETE, too, but
                          not with your headers
  --all                   list what passed as well
  --json                  the report as JSON

Without --pay only what costs nothing is asked.
`

const options = {
  ...targetOptions,
  ...payerOptions,
  profile: { type: 'string' },
  all: { type: 'boolean' },
  json: { type: 'boolean' },
} as const

/** `mppkit conform`. Resolves with the exit code. Throws `Usage` and `NoAnswer`. */
export async function conformCommand(argv: string[], { out, env }: Surroundings): Promise<number> {
  if (wantsHelp(argv)) {
    out(HELP)
    return 0
  }
  const { about, values } = readArguments(argv, options, 'URL')
  const profile = readChoice(values.profile ?? 'spec', ['spec', 'mppkit'], '--profile')
  const target = targetOf(about, values)
  const pay = await payerOf(values, env)
  const report = await conform({ ...target, profile, ...(pay && { pay }) })
  if (values.json) out(tellJson(report))
  else {
    const head = `${target.url}, judged by ${profile === 'spec' ? 'the drafts' : 'the drafts and the promises of mppkit'}, ${pay ? `paid on ${pay.method.name}` : 'unpaid'}`
    out(
      tell({
        head,
        verdicts: report.verdicts,
        shows: values.all ? 'all' : 'faults',
        foot: footOf(report, profile, pay !== undefined),
      }),
    )
  }
  return exitCode(report.verdicts)
}

function footOf({ answers, took }: Report, profile: string, paid: boolean): string {
  const left = questions.filter(
    ({ group, pays }) => pays && (group === 'spec' || profile === 'mppkit'),
  ).length
  const hint = paid ? '' : ` ${left} questions need a payment: add --pay toy or --pay tempo.`
  return `${answers} answers in ${(took / 1000).toFixed(1)} s.${hint}`
}
