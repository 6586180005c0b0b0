// Ends a test run: one line for each program whose tests were skipped, then the last line, `N passed, N failed`, for
// programs that read the output. A file that cannot be loaded and an error outside any test count as failures, so that
// the line agrees with the exit code.
import process from 'node:process'
import type { Reporter, SerializedError, TestModule, TestSuite } from 'vitest/node'

export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    const count = { passed: 0, failed: errors.length, skipped: 0 }
    const missing = new Map<string, number>()
    for (const module of modules) {
      let failedHere = 0
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') count.passed += 1
        if (state === 'failed') failedHere += 1
        if (state !== 'skipped') continue
        count.skipped += 1
        const reason = test.meta().missingProgram ?? reasonOf(test.parent)
        if (reason !== undefined) missing.set(reason, (missing.get(reason) ?? 0) + 1)
      }
      count.failed += failedHere === 0 && !module.ok() ? 1 : failedHere
    }
    const lines = [...missing].map(([reason, tests]) => `${tests} skipped: ${reason}`)
    const skipped = count.skipped === 0 ? '' : `, ${count.skipped} skipped`
    lines.push(`${count.passed} passed, ${count.failed} failed${skipped}`)
    // After the default reporter's own summary, which it writes when this event is over.
    process.once('exit', () => process.stdout.write(`${lines.join('\n')}\n`))
  }
}

function reasonOf(suite: TestSuite | TestModule): string | undefined {
  return suite.meta().missingProgram ?? (suite.type === 'suite' ? reasonOf(suite.parent) : undefined)
}
