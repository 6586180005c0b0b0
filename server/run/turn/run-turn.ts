// What a run waits for before it has a driver: its message, its turn, and afterwards the entry that explains why its driver stopped.
import { parseCursor } from '@parley/protocol'
import { lateSteerRun } from '@parley/protocol/make-id'
import { messageIdsOf } from '../../session/run-report.ts'
import type { SessionReplica } from '../../session/session-replica.ts'
import { impliedChildEnd, isChild, mayStart } from '../../session/state/child-runs.ts'
import { isActive } from '../../session/state/run-record.ts'
import { findRun, type SessionState } from '../../session/state/session-state.ts'
import { type Delivery, DeliveryLost } from '../../store/ports/run-queue.ts'
import type { SessionLog } from '../../store/ports/session-log.ts'

/** Nearly every message that is stored after its offer arrives within this time (ms). */
const SOON_MS = 250
/** The longest wait (ms) of a stopped driver for the entry that explains it. */
const STOPPED_WAIT_MS = 10_000
/** A handler retries for this long (ms) while the log is unavailable; then the queue redelivers the run. */
export const OUTAGE_MS = 10 * 60_000

export function messageOf(state: SessionState, id: string | undefined) {
  return state.messages.find(({ event }) => event.id === id)?.event
}

export function authorOf(state: SessionState, message: string | undefined): string | undefined {
  return messageOf(state, message)?.author
}

/** Whether the run needs a driver: it is open, and the log does not imply its end. */
export function isWanted(state: SessionState, run: string): boolean {
  const record = findRun(state, run)
  if (record === undefined || record.phase === 'ended' || !isActive(record)) return false
  return !isChild(record) || impliedChildEnd(state, record) === undefined
}

/** It is this run's turn, or it has ended or does not exist. */
export function isDue(state: SessionState, run: string): boolean {
  if (state.open[0]?.id === run) return true
  const record = findRun(state, run)
  if (record === undefined || record.phase === 'ended') return true
  return isChild(record) && (mayStart(state, record) || impliedChildEnd(state, record) !== undefined)
}

/** Whether the run's message is in the log, or arrives soon. The offer of a repeated command may have no message. */
export async function messageArrives(
  log: SessionLog,
  session: SessionReplica,
  { run, command }: Delivery,
  signal: AbortSignal,
  waitMs: number,
): Promise<boolean> {
  const arrives = async (ms: number): Promise<boolean> => {
    try {
      const seen = (state: SessionState) =>
        findRun(state, run) ?? state.deleted ?? (isSteering(state, command) || undefined)
      await session.until(seen, signal, ms)
      return true
    } catch (error) {
      if (signal.aborted || session.lost !== undefined) throw error
      return false
    }
  }
  // This node may learn of the message late, so compare with the head of the log.
  const isKnown = async (): Promise<boolean> => {
    const head = parseCursor(await log.head(session.id))?.seq ?? 0
    const isCaughtUp = (state: SessionState): true | undefined =>
      state.seq >= head || findRun(state, run) !== undefined ? true : undefined
    await session.until(isCaughtUp, signal, OUTAGE_MS)
    return findRun(session.state, run) !== undefined
  }
  if ((await arrives(Math.min(waitMs, SOON_MS))) || (await isKnown())) return true
  // A stored message that names another run was sent twice; the other run answers it.
  if ((await log.last(session.id, `in.${command}`)) === 0 && (await arrives(waitMs))) return true
  return isKnown()
}

/**
 * Whether a steering message was too late for its run and got a run of its own. Keeps the offer until this is known, because other
 * participants may assume that the run is queued.
 */
export async function isLateSteer(
  session: SessionReplica,
  { run, command }: Delivery,
  signal: AbortSignal,
): Promise<boolean> {
  if (run !== lateSteerRun(command)) return false
  await session.until((state) => (isSteering(state, command) ? undefined : true), signal)
  return findRun(session.state, run) !== undefined
}

/** Whether somebody else than the author of its message has steered the run. */
export function isShared(state: SessionState, run: string, author: string | undefined): boolean {
  const record = findRun(state, run)
  const ids = record === undefined ? undefined : messageIdsOf(record)
  return state.messages.some(({ event }) => ids?.has(event.id) === true && event.author !== author)
}

/** Whether the message waits to be taken by an active run. */
export function isSteering(state: SessionState, message: string): boolean {
  return state.open.some((record) => record.steers.includes(message))
}

/**
 * Waits until the session shows why the driver stopped: the run has ended, or another driver has it.
 * @param epoch attempt of the stopped driver, or of the previous one if it never started
 * @throws DeliveryLost if another driver has the run
 */
export async function waitForEnd(session: SessionReplica, run: string, epoch: number): Promise<void> {
  const outcome = (state: SessionState): 'ended' | 'taken' | undefined => {
    const record = findRun(state, run)
    if (record === undefined || record.phase === 'ended') return 'ended'
    return record.epoch > epoch ? 'taken' : undefined
  }
  const how = await session.until(outcome, undefined, STOPPED_WAIT_MS)
  if (how === 'taken') throw new DeliveryLost()
}
