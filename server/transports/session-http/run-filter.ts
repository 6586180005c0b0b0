// RunFilter: selects a session's entries that concern one run, or a run with its child runs: messages, starts, outputs, tool calls and
// ends. It selects nothing after the run's end.
import type { Event, ToolCalled } from '@parley/protocol'
import { lateSteerRun } from '@parley/protocol/make-id'
import type { ProjectedEntry } from '../../session/transcript/entry-projection.ts'

/** In the stored JSON of every event except a message, the type and the run come first. */
const HEAD = /^\{"type":"([a-z.]+)","run":"([A-Za-z0-9_-]+)"/

export class RunFilter {
  readonly #run: string
  /** The run and its child runs; undefined to select no child runs. */
  readonly #runs: Set<string> | undefined
  #ended = false

  /** @param below the child runs that exist, at all levels; undefined to select none */
  constructor(run: string, below?: readonly string[]) {
    this.#run = run
    this.#runs = below === undefined ? undefined : new Set([run, ...below])
  }

  /** Whether the run's end has passed the filter. */
  get ended(): boolean {
    return this.#ended
  }

  readonly keep = (entry: ProjectedEntry): boolean => {
    if (this.#ended) return false
    const [, type, run] = HEAD.exec(entry.json) ?? []
    if (type !== undefined && run !== undefined) return this.#concerns(run) && this.#keepType(type, run, entry)
    const event = JSON.parse(entry.json) as Event
    if (event.type === 'message') return event.run === this.#run || lateSteerRun(event.id) === this.#run
    return 'run' in event && this.#concerns(event.run) && this.#keepType(event.type, event.run, entry)
  }

  #concerns(run: string): boolean {
    return this.#runs?.has(run) ?? run === this.#run
  }

  #keepType(type: string, run: string, { json }: ProjectedEntry): boolean {
    this.#ended = type === 'run.ended' && run === this.#run
    if (type === 'tool.called' && this.#runs !== undefined) {
      const { child } = JSON.parse(json) as ToolCalled
      if (child !== undefined) this.#runs.add(child.run)
    }
    return true
  }
}

export function isOutputOfOther(run: string, { json }: ProjectedEntry): boolean {
  return json.startsWith(OUTPUT) && !json.startsWith(`${run}"`, OUTPUT.length)
}

/** How the stored JSON of every output begins. */
const OUTPUT = '{"type":"run.output","run":"'
