// Shown: how an entry looks to a reader. Who is live had every output of a run, and needs none of them again: he
// gets `run.ended` without its output, and no snapshots. Who catches up gets everything as it stands. Pure.
import type { RunEnded, RunOutput } from '@parley/protocol'
import type { Entry, Seq } from '../../store/ports/entry.ts'

/** What a reader is sent. */
export interface Shown {
  readonly seq: Seq
  /** Unix milliseconds. */
  readonly time: number
  /** The event as JSON. */
  readonly json: string
}

/**
 * For readers who were sent every entry before these, live.
 * @param whole roll-ups that stand for entries which were gone before anybody here could be sent them
 */
export function shownLive(entries: readonly Entry[], whole?: ReadonlySet<Entry>): readonly Shown[] {
  // Nearly always one token of one run.
  if (entries.length === 1 && entries[0]?.rollup === false) return entries
  if (!entries.some((entry) => entry.rollup)) return entries
  return entries.flatMap((entry) => (entry.rollup && whole?.has(entry) !== true ? shownRollup(entry) : [entry]))
}

function shownRollup(entry: Entry): Shown[] {
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

/** Neighbouring outputs of one run and kind as one, for readers who asked for that. */
export function merged(shown: readonly Shown[]): readonly Shown[] {
  const result: Shown[] = []
  let group: { last: Shown; first: RunOutput; text: string; count: number } | undefined
  const close = (): void => {
    if (group === undefined) return
    const { last, first, text, count } = group
    result.push(
      count === 1 ? last : { seq: last.seq, time: last.time, json: JSON.stringify({ ...first, text, count }) },
    )
    group = undefined
  }
  for (const item of shown) {
    const output = asOutput(item)
    if (output === undefined) {
      close()
      result.push(item)
    } else if (
      group !== undefined &&
      group.first.run === output.run &&
      group.first.kind === output.kind &&
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

function asOutput(item: Shown): RunOutput | undefined {
  // The type comes first in what the log stores, so most entries need no parse.
  if (!item.json.startsWith('{"type":"run.output"')) return undefined
  return JSON.parse(item.json) as RunOutput
}
