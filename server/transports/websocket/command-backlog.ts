// CommandBacklog: limits the unanswered commands of one connection, and the bytes of their frames.
import { LIMITS, ReplyError } from '@parley/protocol'

const COMMANDS = 1_024
const BYTES = 4 * 1024 * 1024
/** The same before `welcome`: one whole message. */
const EARLY_BYTES = LIMITS.frameBytes + LIMITS.batchFrames
/** Retry delay in milliseconds. */
const RETRY_MS = 1_000

export class CommandBacklog {
  #commands = 0
  #bytes = 0

  /** @param early whether the user is not known yet @returns why a further command is refused */
  refusal(bytes: number, early: boolean): ReplyError | undefined {
    if (this.#commands < COMMANDS && this.#bytes + bytes <= (early ? EARLY_BYTES : BYTES)) return undefined
    return new ReplyError('rate_limited', 'Too many unanswered commands.', { retryAfterMs: RETRY_MS })
  }

  add(bytes: number): void {
    this.#commands += 1
    this.#bytes += bytes
  }

  remove(bytes: number): void {
    this.#commands -= 1
    this.#bytes -= bytes
  }
}
