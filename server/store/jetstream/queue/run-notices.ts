// JetStreamRunNotices: notices as core NATS messages, which every node reads and nothing stores.
import type { Msg, Subscription as NatsSubscription } from '@nats-io/transport-node'
import type { NoticedRun, RunNotice, RunNotices } from '../../ports/run-notices.ts'
import type { Subscription } from '../../ports/session-log.ts'
import type { JetStreamConnection } from '../connection.ts'

/** Runs in one message: about 100 bytes each. */
const AT_ONCE = 1_000

export class JetStreamRunNotices implements RunNotices {
  readonly #connection: Pick<JetStreamConnection, 'nats' | 'state'>
  readonly #subject: string
  readonly #subscription: NatsSubscription
  readonly #listeners = new Set<(notice: RunNotice) => void>()

  constructor(connection: Pick<JetStreamConnection, 'nats' | 'state'>, prefix: string) {
    this.#connection = connection
    this.#subject = `${prefix}.busy`
    this.#subscription = connection.nats.subscribe(this.#subject, { callback: (_, message) => this.#told(message) })
  }

  tell({ on, off }: RunNotice): void {
    const { nats, state } = this.#connection
    for (let from = 0; from < Math.max(on.length, off.length); from += AT_ONCE) {
      if (state !== 'live' || nats.isClosed()) return
      const part = [on.slice(from, from + AT_ONCE), off.slice(from, from + AT_ONCE)]
      nats.publish(this.#subject, JSON.stringify(part))
    }
  }

  onTold(listener: (notice: RunNotice) => void): Subscription {
    this.#listeners.add(listener)
    return { close: () => this.#listeners.delete(listener) }
  }

  close(): void {
    if (!this.#connection.nats.isClosed()) this.#subscription.unsubscribe()
    this.#listeners.clear()
  }

  /** What this node told itself comes back, too: it knows it already. */
  #told(message: Msg): void {
    const [on, off] = read(message)
    for (const listener of this.#listeners) listener({ on: runsIn(on), off: runsIn(off) })
  }
}

/** What is not ours is none of our business. */
function read(message: Msg): readonly unknown[] {
  try {
    const told = message.json<unknown>()
    return Array.isArray(told) ? told : []
  } catch {
    return []
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
