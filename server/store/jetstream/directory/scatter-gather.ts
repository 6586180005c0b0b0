// JetStreamScatterGather: asks all other nodes with one core NATS request. The number of nodes is unknown, so it always
// collects answers for the full time.
import type { Msg, Subscription as NatsSubscription } from '@nats-io/transport-node'
import { makeId } from '@parley/protocol'
import type { Logger } from 'pino'
import { SCATTER_GATHER_MS, SCATTER_GATHER_NODES, type ScatterGather } from '../../ports/scatter-gather.ts'
import type { Subscription } from '../../ports/session-log.ts'
import { type JetStreamConnection, jsonOf } from '../connection.ts'

type Connection = Pick<JetStreamConnection, 'nats' | 'state'>
type Answer = (session: string) => Promise<unknown>

export class JetStreamScatterGather implements ScatterGather {
  readonly #connection: Connection
  readonly #logger: Logger
  readonly #subject: string
  /** Identifies own requests, which this node does not answer. */
  readonly #self = makeId('node')
  #subscription: NatsSubscription | undefined
  #answer: Answer | undefined

  constructor(connection: Connection, prefix: string, logger: Logger) {
    this.#connection = connection
    this.#logger = logger
    this.#subject = `${prefix}.readers`
  }

  async query(session: string): Promise<readonly unknown[]> {
    const { nats, state } = this.#connection
    if (state !== 'live' || nats.isClosed()) return []
    const answers: unknown[] = []
    try {
      const request = JSON.stringify([this.#self, session])
      const limits = { strategy: 'timer' as const, maxWait: SCATTER_GATHER_MS }
      for await (const message of await nats.requestMany(this.#subject, request, limits)) {
        const answer = jsonOf(message)
        if (answer !== undefined) answers.push(answer)
        if (answers.length === SCATTER_GATHER_NODES) break
      }
    } catch (error) {
      this.#logger.warn({ err: error, session }, 'failed to ask other nodes for readers')
    }
    return answers
  }

  respondWith(answer: Answer): Subscription {
    this.#answer = answer
    this.#subscription ??= this.#connection.nats.subscribe(this.#subject, {
      callback: (_, message) => {
        this.#reply(message).catch((error: unknown) => {
          this.#logger.warn({ err: error }, 'failed to report readers to another node')
        })
      },
    })
    return { close: () => this.close() }
  }

  close(): void {
    this.#answer = undefined
    if (!this.#connection.nats.isClosed()) this.#subscription?.unsubscribe()
    this.#subscription = undefined
  }

  async #reply(message: Msg): Promise<void> {
    const request = jsonOf(message)
    if (!Array.isArray(request)) return
    const [asker, session] = request as readonly unknown[]
    if (asker === this.#self || typeof session !== 'string' || this.#answer === undefined) return
    message.respond(JSON.stringify(await this.#answer(session)))
  }
}
