// JetStreamNodeNews: publishes to all nodes as core NATS messages on one subject, which are not stored.
import type { Subscription as NatsSubscription } from '@nats-io/transport-node'
import type { NodeNews } from '../../ports/node-news.ts'
import type { Subscription } from '../../ports/session-log.ts'
import { type JetStreamConnection, jsonOf } from '../connection.ts'

export class JetStreamNodeNews implements NodeNews {
  readonly #connection: Pick<JetStreamConnection, 'nats' | 'state'>
  readonly #subject: string
  readonly #subscriptions = new Set<NatsSubscription>()

  /** @param topic the last part of the subject */
  constructor(connection: Pick<JetStreamConnection, 'nats' | 'state'>, prefix: string, topic: string) {
    this.#connection = connection
    this.#subject = `${prefix}.${topic}`
  }

  notify(message: unknown): boolean {
    const { nats, state } = this.#connection
    // Without a connection the client would buffer the message, and send it when it is outdated.
    if (state !== 'live' || nats.isClosed()) return false
    nats.publish(this.#subject, JSON.stringify(message))
    return true
  }

  onNotified(listener: (message: unknown) => void): Subscription {
    const subscription = this.#connection.nats.subscribe(this.#subject, {
      callback: (error, message) => {
        if (error === null) listener(jsonOf(message))
      },
    })
    this.#subscriptions.add(subscription)
    return { close: () => this.#unsubscribe(subscription) }
  }

  close(): void {
    for (const subscription of this.#subscriptions) this.#unsubscribe(subscription)
  }

  #unsubscribe(subscription: NatsSubscription): void {
    this.#subscriptions.delete(subscription)
    if (!this.#connection.nats.isClosed()) subscription.unsubscribe()
  }
}
