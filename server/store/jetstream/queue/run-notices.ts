// JetStreamRunNotices: publishes notices of runs to all nodes as core NATS messages, which are not stored.
import type { Msg, Subscription as NatsSubscription } from '@nats-io/transport-node'
import type { NoticedRun, RunNotice, RunNotices } from '../../ports/run-notices.ts'
import type { Subscription } from '../../ports/session-log.ts'
import { type JetStreamConnection, jsonOf } from '../connection.ts'

/** Runs in one message, about 100 bytes each. */
const BATCH_SIZE = 1_000

export class JetStreamRunNotices implements RunNotices {
  readonly #connection: Pick<JetStreamConnection, 'nats' | 'state'>
  readonly #subject: string
  readonly #subscription: NatsSubscription
  readonly #listeners = new Set<(notice: RunNotice) => void>()

  constructor(connection: Pick<JetStreamConnection, 'nats' | 'state'>, prefix: string) {
    this.#connection = connection
    this.#subject = `${prefix}.busy`
    this.#subscription = connection.nats.subscribe(this.#subject, { callback: (_, message) => this.#receive(message) })
  }

  notify({ on, off }: RunNotice): void {
    const { nats, state } = this.#connection
    for (let from = 0; from < Math.max(on.length, off.length); from += BATCH_SIZE) {
      if (state !== 'live' || nats.isClosed()) return
      const part = [on.slice(from, from + BATCH_SIZE), off.slice(from, from + BATCH_SIZE)]
      nats.publish(this.#subject, JSON.stringify(part))
    }
  }

  onNotified(listener: (notice: RunNotice) => void): Subscription {
    this.#listeners.add(listener)
    return { close: () => this.#listeners.delete(listener) }
  }

  close(): void {
    if (!this.#connection.nats.isClosed()) this.#subscription.unsubscribe()
    this.#listeners.clear()
  }

  /** Also receives this node's own notices, which change nothing. */
  #receive(message: Msg): void {
    const rows = jsonOf(message)
    const [on, off] = Array.isArray(rows) ? (rows as readonly unknown[]) : []
    for (const listener of this.#listeners) listener({ on: runsIn(on), off: runsIn(off) })
  }
}

function runsIn(rows: unknown): readonly NoticedRun[] {
  if (!Array.isArray(rows)) return []
  return rows.flatMap((row: unknown): NoticedRun[] => {
    if (!Array.isArray(row)) return []
    const [user, run] = row as readonly unknown[]
    return typeof user === 'string' && typeof run === 'string' ? [[user, run]] : []
  })
}
