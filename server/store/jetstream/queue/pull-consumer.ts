// PullConsumer: requests as many messages from a JetStream pull consumer as the node can accept. Requests expire soon
// and are renewed: a request that outlives a stopped or disconnected node would receive messages that nobody handles,
// and each of them would wait for the consumer's whole `ack_wait`.
import { createInbox, type Msg, type NatsConnection, nanos, type Subscription } from '@nats-io/transport-node'

export interface PullConsumerOptions {
  readonly nats: NatsConnection
  readonly stream: string
  readonly consumer: string
  /** Milliseconds until a request expires. */
  readonly expiresMs: number
  /** How many more messages the node can accept now. */
  capacity(): number
  /** Handles a message. There may be more messages than the capacity. Must not throw. */
  deliver(message: Msg): void
}

/** Concurrent requests. Each one is work for the server; further capacity waits for the next request. */
const INBOXES = 8
const BATCH_MAX = 5_000
const TICK_MS = 100
/** Time for the server's notification that a request has expired. */
const GRACE_MS = 1_000

/** One request at a time. Messages keep their stored subject, so only the subscription identifies the inbox. */
interface Inbox {
  readonly subject: string
  /** Messages that the current request may still deliver. */
  pending: number
  expiresAt: number
}

export class PullConsumer {
  readonly #options: PullConsumerOptions
  readonly #inboxes: readonly Inbox[]
  readonly #subscriptions: readonly Subscription[]
  readonly #timer: NodeJS.Timeout
  #open: boolean

  /** @param open whether NATS is connected */
  constructor(options: PullConsumerOptions, open: boolean) {
    this.#options = options
    this.#open = open
    this.#inboxes = Array.from({ length: INBOXES }, () => ({ subject: createInbox(), pending: 0, expiresAt: 0 }))
    this.#subscriptions = this.#inboxes.map((inbox) =>
      options.nats.subscribe(inbox.subject, { callback: (_, message) => this.#receive(inbox, message) }),
    )
    this.#timer = setInterval(() => this.pull(), TICK_MS).unref()
    this.pull()
  }

  /** Requests more messages if there is capacity. */
  pull(): void {
    const now = performance.now()
    let requested = 0
    let free: Inbox | undefined
    for (const inbox of this.#inboxes) {
      if (inbox.expiresAt < now) inbox.pending = 0
      if (inbox.pending === 0) free = inbox
      requested += inbox.pending
    }
    const wanted = Math.min(BATCH_MAX, this.#options.capacity() - requested)
    if (!this.#open || wanted <= 0 || free === undefined) return
    const { nats, stream, consumer, expiresMs } = this.#options
    free.pending = wanted
    free.expiresAt = now + expiresMs + GRACE_MS
    const request = JSON.stringify({ batch: wanted, expires: nanos(expiresMs) })
    nats.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`, request, { reply: free.subject })
  }

  /** Forgets all requests, because the connection is lost, and the server forgets them, too. */
  pause(): void {
    this.#open = false
    for (const inbox of this.#inboxes) inbox.pending = 0
  }

  resume(): void {
    this.#open = true
    this.pull()
  }

  /** Stops requesting. Resolves when no more messages can arrive; until then `deliver` may be called. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    const wasOpen = this.#open
    this.#open = false
    if (wasOpen && !this.#options.nats.isClosed())
      await Promise.all(this.#subscriptions.map((subscription) => subscription.drain()))
    else for (const subscription of this.#subscriptions) subscription.unsubscribe()
  }

  #receive(inbox: Inbox, message: Msg): void {
    if (message.reply !== undefined && message.reply !== '') {
      if (inbox.pending > 0) inbox.pending -= 1
      this.#options.deliver(message)
      return
    }
    // The request expired or was rejected. After a rejection the next tick requests again, to spare an overloaded
    // server.
    const code = message.headers?.code
    if (code === 100) return
    inbox.pending = 0
    if (code === 408) this.pull()
  }
}
