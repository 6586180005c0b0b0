// Skips tests whose program is not on this machine: a test or suite that fails with MissingProgram counts as skipped,
// and carries the reason to the reporter. In CI it stays a failure.
import process from 'node:process'
import { type RunnerTestCase, type RunnerTestSuite, TestRunner } from 'vitest'

declare module 'vitest' {
  interface TaskMeta {
    /** Why the test, or every test of the suite, was skipped. */
    missingProgram?: string
  }
}

export default class SkippingRunner extends TestRunner {
  override onAfterRunTask(test: RunnerTestCase): void {
    skipWithoutProgram(test)
    super.onAfterRunTask(test)
  }

  override async onAfterRunSuite(suite: RunnerTestSuite): Promise<void> {
    skipWithoutProgram(suite)
    await super.onAfterRunSuite(suite)
  }
}

/** The first error counts: those of the hooks that run afterwards only follow from it. */
function skipWithoutProgram(task: RunnerTestCase | RunnerTestSuite): void {
  const [error] = task.result?.errors ?? []
  if (task.result === undefined || error?.name !== 'MissingProgram' || process.env.CI === 'true') return
  task.meta.missingProgram = error.message
  task.mode = 'skip'
  const { errors: _, ...result } = task.result
  task.result = { ...result, state: 'skip' }
}
