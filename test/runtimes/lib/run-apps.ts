import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { APPS, type AppName, type Asked } from '../../apps/lib/apps.ts'

const SCRIPT = fileURLToPath(new URL('../../apps/lib/conform-app.ts', import.meta.url))

/** What `mppkit conform` has asked of an example. */
export interface AppOutcome {
  app: AppName
  what: string
  passed: number
  skipped: number
  known: { id: string; title: string; why: string }[]
  /** Neither answered as it should be nor known. */
  failed: { id: string; title: string; detail: string }[]
}

interface Told {
  id: string
  title: string
  outcome: 'passed' | 'failed' | 'skipped'
  detail: string
}

/** Asks the examples, one after another. */
export async function runApps(show: (outcome: AppOutcome) => void): Promise<AppOutcome[]> {
  const outcomes: AppOutcome[] = []
  for (const app of Object.keys(APPS) as AppName[]) {
    const outcome = outcomeOf(app, await ask(app))
    show(outcome)
    outcomes.push(outcome)
  }
  return outcomes
}

function ask(app: AppName): Promise<Told[]> {
  return new Promise((resolve, reject) => {
    const child = fork(SCRIPT, [app], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
    child.once('message', (told) => resolve(told as Told[]))
    child.once('exit', (code) => reject(new Error(`the app on ${app} ended with ${String(code)}, unasked`)))
  })
}

function outcomeOf(app: AppName, told: readonly Told[]): AppOutcome {
  const { what, known }: Asked = APPS[app]
  const failed = told.filter(({ outcome }) => outcome === 'failed')
  const stale = Object.keys(known).filter((id) => !failed.some((each) => each.id === id))
  return {
    app,
    what,
    passed: told.filter(({ outcome }) => outcome === 'passed').length,
    skipped: told.filter(({ outcome }) => outcome === 'skipped').length,
    known: failed.flatMap(({ id, title }) =>
      known[id] === undefined ? [] : [{ id, title, why: known[id] }],
    ),
    failed: [
      ...failed.filter(({ id }) => known[id] === undefined),
      ...stale.map((id) => ({ id, title: id, detail: 'is known to fail, and does not' })),
    ],
  }
}
