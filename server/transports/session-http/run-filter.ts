// RunFilter: of a session's entries those that concern one run: its messages, its starts, outputs and end, its tool calls.
// After its end comes nothing more.
import type { Event } from '@parley/protocol'
import { lateSteerRun } from '../../session/state/session-state.ts'
import type { Shown } from '../../session/transcript/entry-projection.ts'

/** The type and the run come first in what the log stores of everything that is not a message. */
const HEAD = /^\{"type":"([a-z.]+)","run":"([A-Za-z0-9_-]+)"/

export class RunFilter {
  readonly #run: string
  #over = false

  constructor(run: string) {
    this.#run = run
  }

  /** The run's end was kept. */
  get over(): boolean {
    return this.#over
  }

  readonly keep = (entry: Shown): boolean => {
    if (this.#over) return false
    const [, type, run] = HEAD.exec(entry.json) ?? []
    if (type !== undefined) return run === this.#run && this.#take(type)
    const event = JSON.parse(entry.json) as Event
    if (event.type === 'message') return event.run === this.#run || lateSteerRun(event.id) === this.#run
    return 'run' in event && event.run === this.#run && this.#take(event.type)
  }

  #take(type: string): boolean {
    this.#over = type === 'run.ended'
    return true
  }
}
