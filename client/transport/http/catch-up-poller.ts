// CatchUpPoller: fetches by a poll on the side what a feed is known to lack: the server has answered a command with a cursor,
// and the stream, or the long poll, has not brought what stands there. A stream that goes on bringing nothing is stalled.
import type { Clock } from '../../client-options.ts'
import { HttpFailure } from './http-failure.ts'

export interface CatchUpPollerPorts {
  readonly clock: Clock
  /** Milliseconds for which a stream may bring nothing while a poll does. */
  readonly stallMs: number
  /** Whether anybody still waits. */
  waits(): boolean
  /** Asks for what has come meanwhile, and hands it on. @returns whether there was anything */
  fetch(): Promise<boolean>
  /** It does not come, by no means. */
  stalled(reason: string): void
}

/** Milliseconds that what the server has done may take to come by itself. */
const FIRST_MS = 1_000
const TRIES = 8

export class CatchUpPoller {
  readonly #ports: CatchUpPollerPorts
  #cancel: (() => void) | undefined
  #tries = 0
  /** When a poll first brought what the stream had not. */
  #behindSince: number | undefined
  #cancelJudgement: (() => void) | undefined
  #fetching = false
  #closed = false

  constructor(ports: CatchUpPollerPorts) {
    this.#ports = ports
  }

  /** Somebody waits for what should be on its way. */
  begin(): void {
    if (this.#cancel !== undefined || this.#fetching || this.#closed) return
    const wait = FIRST_MS * (1 + this.#tries / 2)
    this.#cancel = this.#ports.clock.after(wait, () => {
      this.#cancel = undefined
      this.#try().catch((error: unknown) => this.#ports.stalled(String(error)))
    })
  }

  /** The stream brought something: it lives. */
  heard(): void {
    this.#behindSince = undefined
    this.#cancelJudgement?.()
    if (!this.#ports.waits()) this.#rest()
  }

  /** Something was handed on, whichever way it came. */
  advanced(): void {
    this.#tries = 0
    if (!this.#ports.waits()) this.#rest()
  }

  close(): void {
    this.#closed = true
    this.#rest()
    this.#cancelJudgement?.()
  }

  #rest(): void {
    this.#tries = 0
    this.#cancel?.()
    this.#cancel = undefined
  }

  async #try(): Promise<void> {
    const { clock, stallMs } = this.#ports
    if (this.#closed || !this.#ports.waits()) return this.#rest()
    this.#tries += 1
    if (this.#tries > TRIES) return this.#ports.stalled('What the server has done cannot be seen.')
    this.#fetching = true
    let lacked = false
    try {
      lacked = await this.#ports.fetch()
    } catch (error) {
      // The feed itself runs into what is wrong, if it stays so.
      if (!(error instanceof HttpFailure)) throw error
    } finally {
      this.#fetching = false
    }
    if (this.#closed) return
    if (lacked && this.#behindSince === undefined) {
      this.#behindSince = clock.now()
      this.#cancelJudgement = clock.after(stallMs, () => {
        if (!this.#closed && this.#behindSince !== undefined) this.#ports.stalled('The stream brings nothing.')
      })
    }
    if (this.#ports.waits()) this.begin()
    else this.#rest()
  }
}
