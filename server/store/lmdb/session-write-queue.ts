// SessionWriteQueue: runs the writes of one session one after the other, so that each sees the result of the one
// before. Writes of different sessions run concurrently.
import { StorageError } from '../ports/errors.ts'
import type { LmdbEnvironment } from './environment.ts'

export class SessionWriteQueue {
  readonly #environment: LmdbEnvironment
  readonly #ended = new Map<string, Promise<void>>()
  #closed = false

  constructor(environment: LmdbEnvironment) {
    this.#environment = environment
  }

  /** Runs `work` when the session's earlier writes have succeeded or failed. @throws StorageError after `close` */
  async run(session: string, work: () => Promise<void>): Promise<void> {
    if (this.#closed) throw new StorageError('unavailable')
    const done = (this.#ended.get(session) ?? Promise.resolve()).then(async () => {
      await work()
      this.#environment.refresh()
    })
    const ended = done
      .catch(() => undefined)
      .then(() => {
        if (this.#ended.get(session) === ended) this.#ended.delete(session)
      })
    this.#ended.set(session, ended)
    return done
  }

  /** Resolves when all writes have ended, and refuses later ones. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#ended.values())
  }
}
