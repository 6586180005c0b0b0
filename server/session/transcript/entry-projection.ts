// Projection: the form of an entry that a reader receives. A live reader has received every output of a run, so it gets
// `run.ended` without the output, and no snapshots. A reader that catches up gets all entries unchanged. Pure.
import type { RunEnded, RunOutput } from '@parley/protocol'
import type { Entry, Seq } from '../../store/ports/entry.ts'

/** An entry as it is sent to a reader. */
export interface ProjectedEntry {
  readonly seq: Seq
  /** Unix milliseconds. */
  readonly time: number
  /** The event as JSON. */
  readonly json: string
}

/**
 * For readers that received every earlier entry live.
 * @param inFull compacting entries to send unchanged, because the node never received the entries that they replace
 */
export function projectLive(entries: readonly Entry[], inFull?: ReadonlySet<Entry>): readonly ProjectedEntry[] {
  // Nearly always one token of one run.
  if (entries.length === 1 && entries[0]?.rollup === false) return entries
  if (!entries.some((entry) => entry.rollup)) return entries
  return entries.flatMap((entry) => (entry.rollup && inFull?.has(entry) !== true ? projectCompacting(entry) : [entry]))
}

function projectCompacting(entry: Entry): ProjectedEntry[] {
  const { event } = entry
  if (event.type === 'run.snapshot') return event.changes === true ? [entry] : []
  if (event.type !== 'run.ended') return [entry]
  if (event.compacted === true) return []
  return [{ seq: entry.seq, time: entry.time, json: withoutOutput(event) }]
}

function withoutOutput(event: RunEnded): string {
  const { output: _, ...rest } = event
  return JSON.stringify(rest)
}

/** Merges adjacent outputs of one run and kind, for readers that requested it. */
export function mergeOutputs(entries: readonly ProjectedEntry[]): readonly ProjectedEntry[] {
  const result: ProjectedEntry[] = []
  let group: { last: ProjectedEntry; first: RunOutput; text: string; count: number } | undefined
  const close = (): void => {
    if (group === undefined) return
    const { last, first, text, count } = group
    result.push(
      count === 1 ? last : { seq: last.seq, time: last.time, json: JSON.stringify({ ...first, text, count }) },
    )
    group = undefined
  }
  for (const item of entries) {
    const output = asOutput(item)
    if (output === undefined) {
      close()
      result.push(item)
    } else if (
      group !== undefined &&
      group.first.run === output.run &&
      isOneText(group.first, output) &&
      group.first.index + group.count === output.index
    ) {
      group = { last: item, first: group.first, text: group.text + output.text, count: group.count + 1 }
    } else {
      close()
      group = { last: item, first: output, text: output.text, count: 1 }
    }
  }
  close()
  return result
}

function isOneText(a: RunOutput, b: RunOutput): boolean {
  if (a.kind === 'input') return b.kind === 'input' && a.call === b.call
  return a.kind === b.kind && (a.kind === 'text' || a.kind === 'reasoning')
}

function asOutput(item: ProjectedEntry): RunOutput | undefined {
  // The log stores the type first, so most entries need no parsing.
  if (!item.json.startsWith('{"type":"run.output"')) return undefined
  return JSON.parse(item.json) as RunOutput
}
