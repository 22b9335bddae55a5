import { existsSync } from 'node:fs'
import { judge, subjectOf, type Verdict } from '@mppkit/testing/conform'
import { readArguments, wantsHelp } from './arguments.ts'
import { attacks } from './doctor/attacks.ts'
import { loadConfig } from './doctor/config-file.ts'
import { lookAt } from './doctor/config.ts'
import { PAYER_HELP, payerOf, payerOptions } from './payer.ts'
import { exitCode, tell, tellJson } from './report.ts'
import type { Surroundings } from './run.ts'
import { TARGET_HELP, targetOf, targetOptions } from './target.ts'

const HELP = `mppkit doctor <url | file>: attacks your own server, or looks at its configuration

A URL is attacked: replays, races, changed credentials, other spellings of the target, OPTIONS and HEAD, plain http, clocks,
test money beside real one. Do this to your own server only: POST, PUT, PATCH and DELETE are sent, too, but not with your
headers.

A file (./mppkit.config.ts) is imported; it exports the options of createMpp as \`options\`, or the gates as \`mpp\`.
Then the doctor sees what cannot be seen from outside: secret, store, origin, proxies, limits.

${TARGET_HELP}

${PAYER_HELP}

  --all                   list what is in order as well
  --json                  the report as JSON

Without --pay only what costs nothing is tried.
`

const options = {
  ...targetOptions,
  ...payerOptions,
  all: { type: 'boolean' },
  json: { type: 'boolean' },
} as const

/** `mppkit doctor`. Resolves with the exit code. Throws `Usage` and `NoAnswer`. */
export async function doctorCommand(argv: string[], { out, env }: Surroundings): Promise<number> {
  if (wantsHelp(argv)) {
    out(HELP)
    return 0
  }
  const { about, values } = readArguments(argv, options, 'URL or configuration file')
  const began = performance.now()
  const verdicts = isFile(about)
    ? await lookAt(await loadConfig(about), env)
    : await attack(targetOf(about, values), await payerOf(values, env))
  if (values.json) out(tellJson({ about, verdicts, took: performance.now() - began }))
  else {
    const foot = `${((performance.now() - began) / 1000).toFixed(1)} s.`
    out(tell({ head: `the doctor looks at ${about}`, verdicts, shows: values.all ? 'all' : 'faults', foot }))
  }
  return exitCode(verdicts)
}

async function attack(
  target: Parameters<typeof subjectOf>[0],
  pay: Awaited<ReturnType<typeof payerOf>>,
): Promise<Verdict[]> {
  const subject = subjectOf({ ...target, ...(pay && { pay }) })
  // Whether there is a server at all is not a finding.
  await subject.unpaid()
  const verdicts: Verdict[] = []
  for (const question of attacks) verdicts.push(await judge(question, subject))
  return verdicts
}

function isFile(about: string): boolean {
  return !/^https?:/i.test(about) && (existsSync(about) || /\.[cm]?[jt]s$/.test(about))
}
