// JetStreamPresenceNews: presence as core NATS messages on one subject, which every node with doors reads and nothing stores.
import type { Subscription as NatsSubscription } from '@nats-io/transport-node'
import type { PresenceNews } from '../../ports/presence-news.ts'
import type { Subscription } from '../../ports/session-log.ts'
import type { JetStreamConnection } from '../connection.ts'

export class JetStreamPresenceNews implements PresenceNews {
  readonly #connection: Pick<JetStreamConnection, 'nats' | 'state'>
  readonly #subject: string
  readonly #subscriptions = new Set<NatsSubscription>()

  constructor(connection: Pick<JetStreamConnection, 'nats' | 'state'>, prefix: string) {
    this.#connection = connection
    this.#subject = `${prefix}.presence`
  }

  tell(message: unknown): boolean {
    const { nats, state } = this.#connection
    // What is published while NATS is away would be kept, and be told when it is true no longer.
    if (state !== 'live' || nats.isClosed()) return false
    nats.publish(this.#subject, JSON.stringify(message))
    return true
  }

  onTold(listener: (message: unknown) => void): Subscription {
    const subscription = this.#connection.nats.subscribe(this.#subject, {
      callback: (error, message) => {
        if (error === null) listener(read(() => message.json<unknown>()))
      },
    })
    this.#subscriptions.add(subscription)
    return { close: () => this.#end(subscription) }
  }

  close(): void {
    for (const subscription of this.#subscriptions) this.#end(subscription)
  }

  #end(subscription: NatsSubscription): void {
    this.#subscriptions.delete(subscription)
    if (!this.#connection.nats.isClosed()) subscription.unsubscribe()
  }
}

/** What is not ours is none of our business. */
function read(message: () => unknown): unknown {
  try {
    return message()
  } catch {
    return undefined
  }
}
