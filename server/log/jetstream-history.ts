// HistoryWatch: notices that the sessions' streams are not those that were opened: deleted and made anew, or restored
// and given a new epoch, while this node was running. Looked at when the connection comes back.
import type { NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'

export interface HistoryWatchOptions {
  readonly connection: NatsConnection
  readonly streams: readonly string[]
  readonly logger: Logger
  /** Called once. */
  readonly changed: () => void
}

const API_MS = 5_000

export class HistoryWatch {
  readonly #options: HistoryWatchOptions
  readonly #epochs = new Map<string, string>()
  #changed = false

  /** Learns the epochs. */
  constructor(options: HistoryWatchOptions) {
    this.#options = options
    this.look()
  }

  /** Compares with what was seen first. A look that fails is made up for by the next. */
  look(): void {
    const { streams, logger } = this.#options
    for (const stream of streams) {
      this.#look(stream).catch((error: unknown) => logger.debug({ err: error, stream }, 'a stream was not looked at'))
    }
  }

  async #look(stream: string): Promise<void> {
    const { connection, logger, changed } = this.#options
    const reply = await connection.request(`$JS.API.STREAM.INFO.${stream}`, '', { timeout: API_MS })
    const { config } = reply.json<{ readonly config?: { readonly metadata?: Record<string, string> } }>()
    const epoch = config?.metadata?.parley_epoch
    if (epoch === undefined) return
    const known = this.#epochs.get(stream)
    if (known === undefined) this.#epochs.set(stream, epoch)
    else if (known !== epoch && !this.#changed) {
      this.#changed = true
      logger.fatal({ stream }, 'the log was made anew or restored while this node ran: restart it')
      changed()
    }
  }
}
