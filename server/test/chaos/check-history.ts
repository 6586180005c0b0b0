// Checks a session's history against the promises of the protocol. Pure: it reads only the recorded frames.
import { brokenChildren } from './check-children.ts'
import {
  differentPictures,
  entriesAfterEnd,
  lateOutputs,
  lostMessages,
  repeatedEffects,
  unfinishedRuns,
} from './check-commands.ts'
import { brokenCalls, brokenDrivers } from './check-drivers.ts'
import { differentEntries, wrongAnswers, wrongOrder } from './check-readers.ts'
import { type History, logOf } from './history.ts'

/** Every broken promise of this history, in words. */
export function problems(history: History): string[] {
  const { records } = history
  const log = logOf(records)
  return [
    // 1: every entry once, in order, the same for all readers
    ...wrongOrder(records),
    ...differentEntries(records),
    ...wrongAnswers(history, log),
    ...differentPictures(history),
    // 2: an end is final
    ...lateOutputs(records, log),
    ...entriesAfterEnd(log),
    // 3: a command takes effect once
    ...repeatedEffects(records, log),
    // 4: nothing acknowledged is lost, every run ends
    ...lostMessages(history),
    ...unfinishedRuns(history, log),
    // 5: one driver of a run and one holder of a tool call at a time
    ...brokenDrivers(log),
    ...brokenCalls(log),
    // 6: a call of an agent begins one child run, which ends before its parent
    ...brokenChildren(log),
  ]
}
