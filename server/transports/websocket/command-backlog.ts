// CommandBacklog: limits the unanswered commands of one connection, and the bytes of their frames.
import { ReplyError } from '@parley/protocol'

export const COMMANDS = 1_024
const BYTES = 4 * 1024 * 1024
/** Retry delay in milliseconds. */
const RETRY_MS = 1_000

export class CommandBacklog {
  #commands = 0
  #bytes = 0

  /** @returns why a further command is refused */
  refusal(bytes: number): ReplyError | undefined {
    return this.#commands < COMMANDS && this.#bytes + bytes <= BYTES ? undefined : tooManyCommands()
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

export function tooManyCommands(): ReplyError {
  return new ReplyError('rate_limited', 'Too many unanswered commands.', { retryAfterMs: RETRY_MS })
}
