// PullConsumer: asks a pull consumer for as many messages as there is room for, and no more. Requests live shortly and are
// renewed: one that outlived its asker (stopped, or cut off) would draw messages into the void, and each of those
// costs the consumer's whole `ack_wait`.
import { createInbox, type Msg, type NatsConnection, nanos, type Subscription } from '@nats-io/transport-node'

export interface PullConsumerOptions {
  readonly nats: NatsConnection
  readonly stream: string
  readonly consumer: string
  /** Milliseconds that a request stands. */
  readonly expiresMs: number
  /** How many more messages could be taken now. */
  room(): number
  /** A message, of which there may be one more than there is room for. Must not throw. */
  deliver(message: Msg): void
}

/** Requests of one puller at once: each is some work for the server; what becomes free meanwhile waits for the next. */
const LANES = 8
const BATCH_MAX = 5_000
const TICK_MS = 100
/** For the server's word that a request expired. */
const GRACE_MS = 1_000

/** One request at a time. A message carries the subject it is stored under, so only the subscription tells the lane. */
interface Lane {
  readonly inbox: string
  left: number
  until: number
}

export class PullConsumer {
  readonly #options: PullConsumerOptions
  readonly #lanes: readonly Lane[]
  readonly #subscriptions: readonly Subscription[]
  readonly #timer: NodeJS.Timeout
  #open: boolean

  /** @param open whether the connection is there */
  constructor(options: PullConsumerOptions, open: boolean) {
    this.#options = options
    this.#open = open
    this.#lanes = Array.from({ length: LANES }, () => ({ inbox: createInbox(), left: 0, until: 0 }))
    this.#subscriptions = this.#lanes.map((lane) =>
      options.nats.subscribe(lane.inbox, { callback: (_, message) => this.#received(lane, message) }),
    )
    this.#timer = setInterval(() => this.pull(), TICK_MS).unref()
    this.pull()
  }

  /** There may be room now. */
  pull(): void {
    const now = performance.now()
    let asked = 0
    let free: Lane | undefined
    for (const lane of this.#lanes) {
      if (lane.until < now) lane.left = 0
      if (lane.left === 0) free = lane
      asked += lane.left
    }
    const wanted = Math.min(BATCH_MAX, this.#options.room() - asked)
    if (!this.#open || wanted <= 0 || free === undefined) return
    const { nats, stream, consumer, expiresMs } = this.#options
    free.left = wanted
    free.until = now + expiresMs + GRACE_MS
    const request = JSON.stringify({ batch: wanted, expires: nanos(expiresMs) })
    nats.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`, request, { reply: free.inbox })
  }

  /** The connection went: what was asked is forgotten, by the server, too. */
  pause(): void {
    this.#open = false
    for (const lane of this.#lanes) lane.left = 0
  }

  resume(): void {
    this.#open = true
    this.pull()
  }

  /** Asks no more. Resolves when nothing more can come; until then `deliver` is still called. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    const wasOpen = this.#open
    this.#open = false
    if (wasOpen && !this.#options.nats.isClosed()) await Promise.all(this.#subscriptions.map((one) => one.drain()))
    else for (const subscription of this.#subscriptions) subscription.unsubscribe()
  }

  #received(lane: Lane, message: Msg): void {
    if (message.reply !== undefined && message.reply !== '') {
      if (lane.left > 0) lane.left -= 1
      this.#options.deliver(message)
      return
    }
    // It expired, or was refused: then the next tick asks again, so that a consumer in trouble is not pressed.
    const code = message.headers?.code
    if (code === 100) return
    lane.left = 0
    if (code === 408) this.pull()
  }
}
