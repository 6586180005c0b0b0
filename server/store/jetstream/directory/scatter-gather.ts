// JetStreamScatterGather: the question as a core NATS request that every node hears and nothing stores. How many nodes there are
// nobody knows, so the whole time is waited for.
import type { Msg, Subscription as NatsSubscription } from '@nats-io/transport-node'
import { makeId } from '@parley/protocol'
import type { Logger } from 'pino'
import { SCATTER_GATHER_MS, SCATTER_GATHER_NODES, type ScatterGather } from '../../ports/scatter-gather.ts'
import type { Subscription } from '../../ports/session-log.ts'
import type { JetStreamConnection } from '../connection.ts'

type Connection = Pick<JetStreamConnection, 'nats' | 'state'>
type Answer = (session: string) => Promise<unknown>

export class JetStreamScatterGather implements ScatterGather {
  readonly #connection: Connection
  readonly #logger: Logger
  readonly #subject: string
  /** So that a node does not answer itself. */
  readonly #self = makeId('node')
  #subscription: NatsSubscription | undefined
  #answer: Answer | undefined

  constructor(connection: Connection, prefix: string, logger: Logger) {
    this.#connection = connection
    this.#logger = logger
    this.#subject = `${prefix}.readers`
  }

  async ask(session: string): Promise<readonly unknown[]> {
    const { nats, state } = this.#connection
    if (state !== 'live' || nats.isClosed()) return []
    const answers: unknown[] = []
    try {
      const asked = JSON.stringify([this.#self, session])
      const limits = { strategy: 'timer' as const, maxWait: SCATTER_GATHER_MS }
      for await (const message of await nats.requestMany(this.#subject, asked, limits)) {
        const answer = read(message)
        if (answer !== undefined) answers.push(answer)
        if (answers.length === SCATTER_GATHER_NODES) break
      }
    } catch (error) {
      this.#logger.warn({ err: error, session }, 'other nodes could not be asked who reads')
    }
    return answers
  }

  answerWith(answer: Answer): Subscription {
    this.#answer = answer
    this.#subscription ??= this.#connection.nats.subscribe(this.#subject, {
      callback: (_, message) => {
        this.#asked(message).catch((error: unknown) => {
          this.#logger.warn({ err: error }, 'another node was not told who reads here')
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

  async #asked(message: Msg): Promise<void> {
    const asked = read(message)
    if (!Array.isArray(asked)) return
    const [asker, session] = asked as readonly unknown[]
    if (asker === this.#self || typeof session !== 'string' || this.#answer === undefined) return
    message.respond(JSON.stringify(await this.#answer(session)))
  }
}

/** What is not ours is none of our business. */
function read(message: Msg): unknown {
  try {
    return message.json<unknown>()
  } catch {
    return undefined
  }
}
