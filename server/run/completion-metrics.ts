// CompletionMetrics: counts each ended run once, on the node that finished it, with the facts from the log. A run that is offered
// again after its end is not counted again.
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

/** The latest counted runs, so that none is counted twice. */
const REMEMBERED = 4_096

export class CompletionMetrics {
  readonly #metrics: RunMetrics
  /** Whether the session has a reader now, or had one a moment ago, on any node. */
  readonly #isRead: ((session: string) => Promise<boolean>) | undefined
  readonly #counted = new Set<string>()

  constructor(metrics: RunMetrics, isRead: ((session: string) => Promise<boolean>) | undefined) {
    this.#metrics = metrics
    this.#isRead = isRead
  }

  /**
   * Called when the handler of a run is done. Never throws.
   * @param before the run when the handler started
   */
  done(session: SessionReplica, { run, attempt }: Delivery, before: RunRecord | undefined): void {
    const record = findRun(session.state, run)
    if (record?.ended === undefined || this.#counted.has(run)) return
    // It ended before this handler started: its driver died before it was done, or the run had no driver.
    if (before?.ended !== undefined && before.epoch > 0 && attempt === 1) return
    this.#remember(run)
    const { event, time } = messageOf(session, record.message) ?? {}
    const asked = event ?? {}
    const { ended, endedAt } = record
    const began = record.epoch > 0
    const model = began ? (record.model ?? '') : ''
    this.#metrics.ended({
      asked,
      model,
      reason: ended.reason,
      error: ended.error?.code,
      seconds: time === undefined || endedAt === undefined ? undefined : (endedAt - time) / 1000,
      usage: ended.usage,
      unseen: record.seen === undefined ? 0 : Math.max(0, ended.next - record.seen - 1),
    })
    // A person ended it, so a person was present.
    const isEndedByHand = ended.reason === 'cancelled' || ended.reason === 'superseded'
    if (!began || isEndedByHand || this.#isRead === undefined) return
    this.#isRead(session.id).then(
      (isRead) => {
        if (!isRead) this.#metrics.abandoned(asked, model)
      },
      // A node that cannot be asked counts as a reader.
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
 * The meter of a driver that is about to start; undefined without metrics and traces.
 * @param onFirstOutput called at the first output of each model call
 */
export async function meterOf(
  {
    metrics,
    log,
    model,
  }: { readonly metrics?: RunMetrics | undefined; readonly log: SessionLog; readonly model: Model },
  session: SessionReplica,
  record: RunRecord,
  onFirstOutput: (() => void) | undefined,
): Promise<RunMeter | undefined> {
  const run = {
    model: model.id,
    sentAt: sentAt(session, record.message),
    hasSpoken: record.next > 0,
    spoke: onFirstOutput,
  }
  if (metrics === undefined) {
    return onFirstOutput && new RunMeter(UNCOUNTED, { ...run, labels: NO_LABELS, silentSince: undefined })
  }
  const since = record.epoch === 0 ? undefined : await silentSince(log, session, record)
  return metrics.meter(messageOf(session, record.message)?.event ?? {}, { ...run, silentSince: since })
}

/** When a message was stored, in Unix milliseconds; undefined if it is no longer in memory. */
export function sentAt(session: SessionReplica, message: string): number | undefined {
  return messageOf(session, message)?.time
}

/** undefined if the message is no longer in memory. */
export function messageOf(
  session: SessionReplica,
  id: string,
): { readonly event: MessageEvent; readonly time: number } | undefined {
  return session.state.messages.find(({ event }) => event.id === id)
}

/** The last append of the previous driver; undefined if it waited for people or their devices, which is not a pause. */
async function silentSince(log: SessionLog, session: SessionReplica, record: RunRecord): Promise<number | undefined> {
  const waited = [...record.calls.values()].some(({ result, last }) => result === undefined || last > record.last)
  if (waited) return undefined
  try {
    const before = formatCursor(log.epoch, record.last - 1)
    for await (const [entry] of log.read(session.id, before, { batchEntries: 1 })) return entry?.time
    return undefined
  } catch (error) {
    // A metric must not fail a run.
    if (error instanceof CursorLost || error instanceof StorageError) return undefined
    throw error
  }
}
