// RunQueue: runs that wait for an owner, or have one. A port. A run stays in the queue until its
// handler has resolved; a handler that rejects, or whose process dies, is replaced.
import type { Subscription } from './session-log.ts'

export interface QueuedRun {
  readonly session: string
  readonly run: string
  /** The command that asked for it; the message is on subject `in.<command>`. */
  readonly command: string
}

export interface Delivery extends QueuedRun {
  /** 1 for the first owner. */
  readonly attempt: number
}

export interface TakeLimits {
  /** Handlers at once; further runs wait. */
  readonly concurrency: number
  /** Milliseconds before a run whose handler rejected is given out again. */
  readonly retryDelayMs?: number
}

/**
 * Somebody else may have the run. A handler's signal is aborted with it when its node was silent for too long; a
 * handler that finds it out by itself rejects with it. The queue then says nothing more on its account.
 */
export class DeliveryLost extends Error {
  override readonly name = 'DeliveryLost'

  constructor() {
    super('the run may have another owner')
  }
}

export interface Taking extends Subscription {
  /**
   * Takes no more runs. Those that were given out stay with their handlers; one that is rejected from now on goes to
   * others at once. Idempotent.
   */
  drain(): void
}

export type RunHandler = (delivery: Delivery, signal: AbortSignal) => Promise<void>

export interface RunQueue {
  /**
   * It is stored apart from the log, so that a crash may come between a message and the offer of its run: the offer is
   * made first then. An offer without a message is dropped; a message without an offer would wait for somebody to come.
   */
  readonly apart: boolean
  /**
   * Idempotent by run id while the run is queued. Resolves when it is durable.
   * @throws StorageError
   */
  offer(run: QueuedRun): Promise<void>
  /** Takes the session's runs out of the queue; those that were given out stay with their handlers. @throws StorageError */
  drop(session: string): Promise<void>
  /**
   * Gives every queued run to one handler, oldest first. `signal` tells the handler to hand over:
   * it is aborted when the subscription is closed, and when the run was lost.
   */
  take(handler: RunHandler, limits: TakeLimits): Promise<Taking>
}
