// EarlyFrames: the frames of one connection that arrived while its access token was verified. Their number and bytes are limited,
// and their bytes also count for all clients whose user is not known yet.
import { type ClientFrame, LIMITS, ReplyError } from '@parley/protocol'
import type { ByteBudget } from '../../limit/byte-budget.ts'
import { COMMANDS, tooManyCommands } from './command-backlog.ts'

export interface ReceivedFrame {
  readonly frame: ClientFrame
  readonly bytes: number
}

/** One whole message. */
const BYTES = LIMITS.frameBytes + LIMITS.batchFrames
/** Retry delay in milliseconds. */
const RETRY_MS = 1_000

export class EarlyFrames {
  readonly #strangers: ByteBudget
  #frames: ReceivedFrame[] = []
  #bytes = 0

  constructor(strangers: ByteBudget) {
    this.#strangers = strangers
  }

  /** @returns why the frame is refused */
  add(received: ReceivedFrame): ReplyError | undefined {
    const { bytes } = received
    if (this.#frames.length >= COMMANDS || this.#bytes + bytes > BYTES) return tooManyCommands()
    if (!this.#strangers.take(bytes)) {
      const message = 'This node is receiving too much from clients whose user is not known yet.'
      return new ReplyError('unavailable', message, { retryAfterMs: RETRY_MS })
    }
    this.#frames.push(received)
    this.#bytes += bytes
    return undefined
  }

  /** Forgets the frames. @returns them */
  take(): readonly ReceivedFrame[] {
    const frames = this.#frames
    this.#strangers.give(this.#bytes)
    this.#frames = []
    this.#bytes = 0
    return frames
  }
}
