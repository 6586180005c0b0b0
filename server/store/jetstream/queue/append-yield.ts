// JetStreamAppendYield: the hint to an owner as a core NATS message that every node reads and nothing stores. There is one
// only when somebody who ends a run has lost a compare to its owner.
import type { Msg, Subscription as NatsSubscription } from '@nats-io/transport-node'
import type { AppendYield } from '../../ports/append-yield.ts'
import type { Subscription } from '../../ports/session-log.ts'
import type { JetStreamConnection } from '../connection.ts'

export class JetStreamAppendYield implements AppendYield {
  readonly #connection: Pick<JetStreamConnection, 'nats' | 'state'>
  readonly #subject: string
  readonly #subscription: NatsSubscription
  readonly #listeners = new Set<(session: string, run: string) => void>()

  constructor(connection: Pick<JetStreamConnection, 'nats' | 'state'>, prefix: string) {
    this.#connection = connection
    this.#subject = `${prefix}.hold`
    this.#subscription = connection.nats.subscribe(this.#subject, { callback: (_, message) => this.#asked(message) })
  }

  ask(session: string, run: string): void {
    const { nats, state } = this.#connection
    // While NATS is away nobody appends.
    if (state === 'live' && !nats.isClosed()) nats.publish(this.#subject, JSON.stringify([session, run]))
  }

  onAsked(listener: (session: string, run: string) => void): Subscription {
    this.#listeners.add(listener)
    return { close: () => this.#listeners.delete(listener) }
  }

  close(): void {
    if (!this.#connection.nats.isClosed()) this.#subscription.unsubscribe()
    this.#listeners.clear()
  }

  #asked(message: Msg): void {
    const [session, run] = read(message)
    if (typeof session !== 'string' || typeof run !== 'string') return
    for (const listener of [...this.#listeners]) listener(session, run)
  }
}

/** What is not ours is none of our business. */
function read(message: Msg): readonly unknown[] {
  try {
    const asked = message.json<unknown>()
    return Array.isArray(asked) ? asked : []
  } catch {
    return []
  }
}
