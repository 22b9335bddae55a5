// A vitest reporter that writes every skipped test with its reason to the file named by MPPKIT_SKIPS.
import { writeFileSync } from 'node:fs'
import type { Reporter, TestModule } from 'vitest/node'

export default class SkipsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const file = process.env.MPPKIT_SKIPS
    if (!file) return
    const lines: string[] = []
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const result = test.result()
        if (result.state !== 'skipped') continue
        lines.push(`${module.relativeModuleId}: ${test.fullName}: ${result.note ?? 'no reason given'}`)
      }
    }
    writeFileSync(file, lines.join('\n'))
  }
}
