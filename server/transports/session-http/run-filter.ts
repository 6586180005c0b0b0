// RunFilter: selects a session's entries that concern one run: its messages, starts, outputs, tool calls and end. It
// selects nothing after the run's end.
import type { Event } from '@parley/protocol'
import { lateSteerRun } from '@parley/protocol/make-id'
import type { ProjectedEntry } from '../../session/transcript/entry-projection.ts'

/** In the stored JSON of every event except a message, the type and the run come first. */
const HEAD = /^\{"type":"([a-z.]+)","run":"([A-Za-z0-9_-]+)"/

export class RunFilter {
  readonly #run: string
  #ended = false

  constructor(run: string) {
    this.#run = run
  }

  /** Whether the run's end has passed the filter. */
  get ended(): boolean {
    return this.#ended
  }

  readonly keep = (entry: ProjectedEntry): boolean => {
    if (this.#ended) return false
    const [, type, run] = HEAD.exec(entry.json) ?? []
    if (type !== undefined) return run === this.#run && this.#keepType(type)
    const event = JSON.parse(entry.json) as Event
    if (event.type === 'message') return event.run === this.#run || lateSteerRun(event.id) === this.#run
    return 'run' in event && event.run === this.#run && this.#keepType(event.type)
  }

  #keepType(type: string): boolean {
    this.#ended = type === 'run.ended'
    return true
  }
}
