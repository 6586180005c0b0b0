// History: what all readers of one session were sent and told, in the order in which each connection saw it, and
// what it says about the promises. Pure: `problems` looks only at what was recorded.
import { afterTheEnd, differences, lateOutputs, lostMessages, openRuns, repeatedEffects } from './history-effects.ts'
import { brokenCalls, brokenOwners } from './history-owners.ts'
import { brokenReadings, otherBytes, otherTexts } from './history-reading.ts'
import { type History, union } from './history-record.ts'

export type { CommandSent, History, HistoryRecord, RunSeen } from './history-record.ts'

/** Every promise that this history breaks, in words. */
export function problems(history: History): string[] {
  const { records } = history
  const log = union(records)
  return [
    // 1: everything once, in order, the same everywhere
    ...brokenReadings(records),
    ...otherBytes(records),
    ...otherTexts(history, log),
    ...differences(history),
    // 2: an end is final
    ...lateOutputs(records, log),
    ...afterTheEnd(log),
    // 3: a command takes effect once
    ...repeatedEffects(records, log),
    // 4: nothing acknowledged is lost, every run ends
    ...lostMessages(history),
    ...openRuns(history, log),
    // 5: one owner at a time, of a run and of a call
    ...brokenOwners(log),
    ...brokenCalls(log),
  ]
}
