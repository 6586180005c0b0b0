// CommandQueue: commands that were not answered yet, in the order in which they were given. Bounded. After a
// reconnect they are sent again with the same ids, which makes each take effect once.
import type { Command, ErrorFrame, Ok } from '@parley/protocol'
import { ParleyError } from '../parley-error.ts'

export interface QueuedCommand {
  readonly frame: Command
  /** Whether it means the same on another connection. */
  readonly resend: boolean
  readonly resolve: (ok: Ok) => void
  readonly reject: (error: ParleyError) => void
  /** How often the server said to try again. */
  retries: number
  /** It waits for its time, and must not be sent before. */
  delayed: boolean
}

/** How often a command is sent again because the server said that it may succeed later. */
export const MAX_RETRIES = 6

export class CommandQueue {
  readonly #commands = new Map<string, QueuedCommand>()
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }

  get size(): number {
    return this.#commands.size
  }

  /** @throws ParleyError too_many_pending */
  add(frame: Command, resend: boolean): Promise<Ok> {
    if (this.#commands.size >= this.#max) {
      throw new ParleyError('too_many_pending', `${this.#max} commands wait for an answer already.`, true)
    }
    return new Promise((resolve, reject) => {
      this.#commands.set(frame.id, {
        frame,
        resend,
        resolve,
        reject,
        retries: 0,
        delayed: false,
      })
    })
  }

  /** What is to be sent on a new connection, in order. */
  ready(): readonly Command[] {
    return [...this.#commands.values()].filter((command) => !command.delayed).map((command) => command.frame)
  }

  /** @returns whether anybody waited for it */
  ok(frame: Ok): boolean {
    const command = this.#commands.get(frame.id)
    if (command === undefined) return false
    this.#commands.delete(frame.id)
    command.resolve(frame)
    return true
  }

  /** @returns the command when it is to be sent once more, later */
  error(frame: ErrorFrame): QueuedCommand | undefined {
    const command = frame.id === undefined ? undefined : this.#commands.get(frame.id)
    if (command === undefined) return undefined
    // `not_attached`: the attach itself was put off, and comes before the next try.
    if ((frame.retryable || frame.code === 'not_attached') && command.retries < MAX_RETRIES) {
      command.retries += 1
      command.delayed = true
      return command
    }
    this.#commands.delete(command.frame.id)
    command.reject(new ParleyError(frame.code, frame.message, frame.retryable, frame.retryAfterMs))
    return undefined
  }

  /** The wait of a delayed command is over. @returns its frame, unless it was given up meanwhile */
  due(command: QueuedCommand): Command | undefined {
    command.delayed = false
    return this.#commands.get(command.frame.id) === command ? command.frame : undefined
  }

  /** It cannot be sent at all. */
  refuse(id: string, error: ParleyError): void {
    const command = this.#commands.get(id)
    if (command !== undefined) this.#drop(command, error)
  }

  /** The connection went: what means something on that one only is given up. */
  lost(error: ParleyError): void {
    for (const command of this.#commands.values()) if (!command.resend) this.#drop(command, error)
  }

  fail(error: ParleyError): void {
    for (const command of this.#commands.values()) this.#drop(command, error)
  }

  /** The session was closed: nobody waits for its commands any more. */
  failSession(session: string, error: ParleyError): void {
    for (const command of this.#commands.values()) {
      if (command.frame.session === session && command.frame.type !== 'detach') this.#drop(command, error)
    }
  }

  #drop(command: QueuedCommand, error: ParleyError): void {
    this.#commands.delete(command.frame.id)
    command.reject(error)
  }
}
