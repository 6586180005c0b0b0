// BackgroundTasks: background work of the log, one after the other, in steps that are each part of one commit. A chore whose
// step failed is given up; whoever wanted it may add it again.
import type { Step } from './checkpoint.ts'

interface BackgroundTask {
  readonly begin: () => Iterator<Step, void>
  steps: Iterator<Step, void> | undefined
  resolve(): void
  reject(error: Error): void
}

export class BackgroundTasks {
  readonly #chores: BackgroundTask[] = []

  /** @param begin called when its turn comes. Resolves when all its steps are on disk. */
  add(begin: () => Iterator<Step, void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#chores.push({ begin, steps: undefined, resolve, reject })
    })
  }

  /** The next step; the one before it is done or failed. */
  next(): Step | undefined {
    for (;;) {
      const chore = this.#chores[0]
      if (chore === undefined) return undefined
      try {
        chore.steps ??= chore.begin()
        const result = chore.steps.next()
        if (result.done !== true) return result.value
        this.#chores.shift()
        chore.resolve()
      } catch (error) {
        // Upkeep that cannot be planned must not hold up the appends that it rides along with.
        this.#chores.shift()
        chore.reject(error instanceof Error ? error : new Error('a chore failed', { cause: error }))
      }
    }
  }

  /** The step that was handed out last did not reach the disk. */
  fail(error: Error): void {
    this.#chores.shift()?.reject(error)
  }

  cancel(error: Error): void {
    for (const chore of this.#chores.splice(0)) chore.reject(error)
  }
}
