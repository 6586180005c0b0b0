// RunQueue: a port with the runs that wait for a driver or have one. A run stays in the queue until its handler has
// resolved. If the handler rejects or its process dies, the queue delivers the run again, so a run may be delivered
// more than once. The log's compare ensures that only one driver has an effect.
import type { Subscription } from './session-log.ts'

export interface QueuedRun {
  readonly session: string
  readonly run: string
  /** The id of the command that started the run. Its message is on subject `in.<command>`. */
  readonly command: string
  /** Encrypted claims of the author's access token, for MCP servers. */
  readonly credentials?: string
}

export interface Delivery extends QueuedRun {
  /**
   * 1 for the first delivery. The queue counts it durably before the handler starts, so a run that kills its driver is
   * recognized.
   */
  readonly attempt: number
}

export interface TakeLimits {
  /** Handlers that may work at the same time, and a tenth of those that may run; further runs wait in the queue. */
  readonly concurrency: number
  /** Milliseconds before the queue delivers a run again whose handler rejected; default: the store's. */
  readonly retryDelayMs?: number
}

/**
 * Another driver may have the run. If the node sent no heartbeat for too long, the queue aborts the handler's signal
 * with this error as the reason. A handler that notices first rejects with it. In both cases the queue does not return
 * the run itself.
 */
export class DeliveryLost extends Error {
  override readonly name = 'DeliveryLost'

  constructor() {
    super('the run may have another driver')
  }
}

export interface RunSubscription extends Subscription {
  /**
   * Takes no more runs. Delivered runs stay with their handlers; if one of them rejects from now on, the queue delivers
   * its run to another handler without a delay. Idempotent.
   */
  drain(): void
}

/**
 * Drives one run. Resolve it when the run has ended: the queue then forgets the run. Reject it to have the run
 * delivered again.
 * @param signal aborted when the subscription is closed, or with a `DeliveryLost` when the run was lost: stop, and
 *   reject
 */
export type RunHandler = (delivery: Delivery, signal: AbortSignal, idle: Idle) => Promise<void>

/**
 * Waits for something that needs no work here, such as a person's decision. Meanwhile, the handler makes room for
 * another one. Resolves or rejects like the wait; more handlers than `concurrency` may then work for a while.
 * @param forRuns the handler waits for other runs of the queue. Then it does not count for the limit of handlers either, because those
 *   runs could otherwise find no handler
 */
export type Idle = <T>(wait: Promise<T>, forRuns?: boolean) => Promise<T>

/** Handlers per working one: an idle handler costs little, but not nothing. */
const HANDLERS = 10

/** The number of handlers for which there is room. It may be negative. @param forRuns the idle ones that wait for other runs */
export function roomFor({ concurrency }: TakeLimits, handlers: number, idle: number, forRuns: number): number {
  return Math.min(concurrency - (handlers - idle), concurrency * HANDLERS - (handlers - forRuns))
}

export interface RunQueue {
  /**
   * True if the queue is stored apart from the log, so that a crash may come between a message and the offer of its
   * run. Callers must then await `offer` before they append the message: the queue drops a run without a message, but
   * nobody would notice a message without a run. False if both, called in one turn of the event loop, share a commit.
   */
  readonly offerFirst: boolean

  /**
   * Adds a run. Idempotent by run id while the run is queued. Resolves when the run is durable.
   * @throws StorageError
   */
  offer(run: QueuedRun): Promise<void>

  /** Removes the session's waiting runs. Delivered runs stay with their handlers. Idempotent. @throws StorageError */
  drop(session: string): Promise<void>

  /**
   * Delivers queued runs, the oldest first, each to one handler at a time over all subscriptions and nodes.
   * Closing the subscription aborts the signals of its handlers; their runs go to other handlers without a delay.
   * @throws StorageError
   */
  take(handler: RunHandler, limits: TakeLimits): Promise<RunSubscription>
}
