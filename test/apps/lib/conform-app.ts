// node test/apps/lib/conform-app.ts <app>: asks one example, in a process of its own, for two frameworks in one disturb each
// other; sends the verdicts to its parent.
import type { App } from '../../../apps/lib/run.ts'
import { APPS, askApp, type AppName } from './apps.ts'

const name = process.argv[2] as AppName
const { start } = (await import(`../../../apps/${name}/main.ts`)) as { start(): Promise<App> }
const app = await start()
const verdicts = await askApp(app, APPS[name])
process.send?.(
  verdicts.map(({ id, title, outcome, detail, requirements }) => ({
    id,
    title,
    outcome,
    detail,
    requirements,
  })),
  () => process.exit(0),
)
