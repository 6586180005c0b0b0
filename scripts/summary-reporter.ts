// The last line of a test run: `N passed, N failed`, alone on its line, for readers that are programs.
// A file that could not be loaded and an error outside any test count as failures, so that
// the line never says that all is well when the exit code says otherwise.
import process from 'node:process'
import type { Reporter, SerializedError, TestModule } from 'vitest/node'

export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    let passed = 0
    let failed = errors.length
    for (const module of modules) {
      let failedHere = 0
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') passed += 1
        if (state === 'failed') failedHere += 1
      }
      failed += failedHere === 0 && !module.ok() ? 1 : failedHere
    }
    // After the default reporter's own summary, which is written when this event is over.
    process.once('exit', () => process.stdout.write(`${passed} passed, ${failed} failed\n`))
  }
}
