import { NoAnswer } from '@mppkit/testing/conform'
import { Usage } from './arguments.ts'
import { conformCommand } from './conform-command.ts'
import { discoverCommand } from './discover-command.ts'
import { doctorCommand } from './doctor-command.ts'

/** Where a command writes to and reads from. */
export interface Surroundings {
  out(text: string): void
  err(text: string): void
  env: Readonly<Record<string, string | undefined>>
}

const HELP = `mppkit: the Machine Payments Protocol on the command line

  mppkit conform <url>          ask a running server all that the drafts say of it
  mppkit doctor <url | file>    attack your own server, or look at its configuration
  mppkit discover <origin>      read what an origin sells from its /openapi.json

  mppkit <command> --help       what it takes

Exit codes: 0 all is well, 1 something is not, 2 it could not be asked.
`

const COMMANDS: Readonly<Record<string, (argv: string[], around: Surroundings) => Promise<number>>> = {
  conform: conformCommand,
  doctor: doctorCommand,
  discover: discoverCommand,
}

/** Runs a command line without the program’s name. Resolves with its exit code: 0, 1 (found something) or 2 (could not ask). */
export async function run(argv: readonly string[], around: Surroundings): Promise<number> {
  const [name, ...rest] = argv
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    around.out(HELP)
    return name === undefined ? 2 : 0
  }
  if (!Object.hasOwn(COMMANDS, name)) {
    around.err(
      `mppkit: there is no command ${JSON.stringify(name)}; there are ${Object.keys(COMMANDS).join(', ')}\n`,
    )
    return 2
  }
  try {
    return await COMMANDS[name]!(rest, around)
  } catch (error) {
    if (!(error instanceof Usage || error instanceof NoAnswer || error instanceof TypeError)) throw error
    around.err(`mppkit ${name}: ${error.message.replace(/^mppkit: /, '')}\n`)
    return 2
  }
}
