// CompletionMetrics: runs that have ended, each counted once by the node that finished it, with what the log tells of them. A run whose
// offer comes again after its end is none that has just ended.
import { formatCursor, type MessageEvent } from '@parley/protocol'
import { NO_LABELS } from '../metric/labels.ts'
import { RunMeter, UNCOUNTED } from '../metric/run-meter.ts'
import type { RunMetrics } from '../metric/run-metrics.ts'
import type { Model } from '../model/model.ts'
import type { SessionReplica } from '../session/session-replica.ts'
import type { RunRecord } from '../session/state/run-record.ts'
import { findRun } from '../session/state/session-state.ts'
import { CursorLost, StorageError } from '../store/ports/errors.ts'
import type { Delivery } from '../store/ports/run-queue.ts'
import type { SessionLog } from '../store/ports/session-log.ts'

/** Runs that are remembered, so that none is counted twice. */
const REMEMBERED = 4_096

export class CompletionMetrics {
  readonly #metrics: RunMetrics
  /** Whether anybody reads the session now, or did a moment ago, on any node. */
  readonly #isRead: ((session: string) => Promise<boolean>) | undefined
  readonly #counted = new Set<string>()

  constructor(metrics: RunMetrics, isRead: ((session: string) => Promise<boolean>) | undefined) {
    this.#metrics = metrics
    this.#isRead = isRead
  }

  /**
   * To be called when the handler of a run has done all. Throws nothing.
   * @param before what the handler found, when it began
   */
  done(session: SessionReplica, { run, attempt }: Delivery, before: RunRecord | undefined): void {
    const view = findRun(session.state, run)
    if (view?.ended === undefined || this.#counted.has(run)) return
    // Ended before this handler came: by an owner who died before he was done, or without any owner.
    if (before?.ended !== undefined && before.epoch > 0 && attempt === 1) return
    this.#remember(run)
    const { event, time } = messageOf(session, view.message) ?? {}
    const asked = event ?? {}
    const { ended, endedAt } = view
    const began = view.epoch > 0
    const model = began ? (view.model ?? '') : ''
    this.#metrics.ended({
      asked,
      model,
      reason: ended.reason,
      error: ended.error?.code,
      seconds: time === undefined || endedAt === undefined ? undefined : (endedAt - time) / 1000,
      usage: ended.usage,
      unseen: view.seen === undefined ? 0 : Math.max(0, ended.next - view.seen - 1),
    })
    // Whoever ended it was there.
    const isEndedByHand = ended.reason === 'cancelled' || ended.reason === 'superseded'
    if (!began || isEndedByHand || this.#isRead === undefined) return
    this.#isRead(session.id).then(
      (isRead) => {
        if (!isRead) this.#metrics.abandoned(asked, model)
      },
      // Those who cannot be asked count as reading.
      () => undefined,
    )
  }

  #remember(run: string): void {
    this.#counted.add(run)
    if (this.#counted.size <= REMEMBERED) return
    const [oldest] = this.#counted
    if (oldest !== undefined) this.#counted.delete(oldest)
  }
}

/**
 * The meter of an owner that is about to begin; undefined where nobody wants to know.
 * @param spoke told of the first output of each model call
 */
export async function meterOf(
  {
    metrics,
    log,
    model,
  }: { readonly metrics?: RunMetrics | undefined; readonly log: SessionLog; readonly model: Model },
  session: SessionReplica,
  view: RunRecord,
  spoke: (() => void) | undefined,
): Promise<RunMeter | undefined> {
  const run = { model: model.id, sentAt: sentAt(session, view.message), hasSpoken: view.next > 0, spoke }
  if (metrics === undefined) {
    return spoke && new RunMeter(UNCOUNTED, { ...run, labels: NO_LABELS, silentSince: undefined })
  }
  const since = view.epoch === 0 ? undefined : await silentSince(log, session, view)
  return metrics.meter(messageOf(session, view.message)?.event ?? {}, { ...run, silentSince: since })
}

/** Unix milliseconds at which a message was stored; undefined for one of the past. */
export function sentAt(session: SessionReplica, message: string): number | undefined {
  return messageOf(session, message)?.time
}

/** undefined for one of the past. */
export function messageOf(
  session: SessionReplica,
  id: string,
): { readonly event: MessageEvent; readonly time: number } | undefined {
  return session.state.messages.find(({ event }) => event.id === id)
}

/** When the owner before was last heard of; undefined where it waited for people or their devices, which is no pause. */
async function silentSince(log: SessionLog, session: SessionReplica, view: RunRecord): Promise<number | undefined> {
  const waited = [...view.calls.values()].some(({ result, last }) => result === undefined || last > view.last)
  if (waited) return undefined
  try {
    const before = formatCursor(log.epoch, view.last - 1)
    for await (const [entry] of log.read(session.id, before, { batchEntries: 1 })) return entry?.time
    return undefined
  } catch (error) {
    // Not worth a run.
    if (error instanceof CursorLost || error instanceof StorageError) return undefined
    throw error
  }
}
