// BackgroundTasks: the background work of the log (checkpoints, retention, purges), one task after the other. A task
// consists of steps; each is one transaction. If a step fails, its task fails; callers may add it again.
import type { Step } from './checkpoint.ts'

interface BackgroundTask {
  readonly start: () => Iterator<Step, void>
  steps: Iterator<Step, void> | undefined
  resolve(): void
  reject(error: Error): void
}

export class BackgroundTasks {
  readonly #tasks: BackgroundTask[] = []

  /** @param start called when all earlier tasks have ended. Resolves when all steps of the task are on disk. */
  add(start: () => Iterator<Step, void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#tasks.push({ start, steps: undefined, resolve, reject })
    })
  }

  /** The next step. Call it only when the step before is done or has failed. */
  next(): Step | undefined {
    for (;;) {
      const task = this.#tasks[0]
      if (task === undefined) return undefined
      try {
        task.steps ??= task.start()
        const result = task.steps.next()
        if (result.done !== true) return result.value
        this.#tasks.shift()
        task.resolve()
      } catch (error) {
        // A task whose planning fails must not stop the other tasks.
        this.#tasks.shift()
        task.reject(error instanceof Error ? error : new Error('a background task failed', { cause: error }))
      }
    }
  }

  /** The last returned step did not reach the disk. */
  fail(error: Error): void {
    this.#tasks.shift()?.reject(error)
  }

  cancel(error: Error): void {
    for (const task of this.#tasks.splice(0)) task.reject(error)
  }
}
