// JetStreamAppendYield: asks a run's driver on another node to pause its appends, with a core NATS message that is not
// stored. It is sent only after an append that ends the run has lost a compare to the driver.
import type { Msg, Subscription as NatsSubscription } from '@nats-io/transport-node'
import type { AppendYield } from '../../ports/append-yield.ts'
import type { Subscription } from '../../ports/session-log.ts'
import { type JetStreamConnection, jsonOf } from '../connection.ts'

export class JetStreamAppendYield implements AppendYield {
  readonly #connection: Pick<JetStreamConnection, 'nats' | 'state'>
  readonly #subject: string
  readonly #subscription: NatsSubscription
  readonly #listeners = new Set<(session: string, run: string) => void>()

  constructor(connection: Pick<JetStreamConnection, 'nats' | 'state'>, prefix: string) {
    this.#connection = connection
    this.#subject = `${prefix}.hold`
    this.#subscription = connection.nats.subscribe(this.#subject, { callback: (_, message) => this.#receive(message) })
  }

  request(session: string, run: string): void {
    const { nats, state } = this.#connection
    // Without NATS nobody can append, so there is nothing to ask for.
    if (state === 'live' && !nats.isClosed()) nats.publish(this.#subject, JSON.stringify([session, run]))
  }

  onRequest(listener: (session: string, run: string) => void): Subscription {
    this.#listeners.add(listener)
    return { close: () => this.#listeners.delete(listener) }
  }

  close(): void {
    if (!this.#connection.nats.isClosed()) this.#subscription.unsubscribe()
    this.#listeners.clear()
  }

  #receive(message: Msg): void {
    const request = jsonOf(message)
    const [session, run] = Array.isArray(request) ? (request as readonly unknown[]) : []
    if (typeof session !== 'string' || typeof run !== 'string') return
    for (const listener of [...this.#listeners]) listener(session, run)
  }
}
