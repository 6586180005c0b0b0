// CommandQueue: the unanswered commands in the order of their calls, up to a limit. After a reconnect they are sent
// again with the same ids, so that each takes effect once.
import type { Command, ErrorFrame, Ok } from '@parley/protocol'
import { ParleyError, refusal } from '../parley-error.ts'

export interface QueuedCommand {
  readonly frame: Command
  /** Whether it is still valid on another connection. */
  readonly resend: boolean
  readonly resolve: (ok: Ok) => void
  readonly reject: (error: ParleyError) => void
  /** Retries that the server asked for. */
  retries: number
  /** It waits for its retry, and must not be sent earlier. */
  delayed: boolean
}

/** Limit of retries that the server asks for, per command. */
export const MAX_RETRIES = 6

export class CommandQueue {
  readonly #commands = new Map<string, QueuedCommand>()
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }

  /** @throws ParleyError too_many_pending */
  add(frame: Command, resend: boolean): Promise<Ok> {
    if (this.#commands.size >= this.#max) {
      const problem = `${this.#max} commands are unanswered already. Wait for answers or raise \`maxPending\`.`
      throw new ParleyError('too_many_pending', problem, true)
    }
    return new Promise((resolve, reject) => {
      this.#commands.set(frame.id, { frame, resend, resolve, reject, retries: 0, delayed: false })
    })
  }

  /** The commands to send on a new connection, in order. */
  ready(): readonly Command[] {
    return [...this.#commands.values()].filter((command) => !command.delayed).map((command) => command.frame)
  }

  /** @returns whether the command was in the queue */
  ok(frame: Ok): boolean {
    const command = this.#commands.get(frame.id)
    if (command === undefined) return false
    this.#commands.delete(frame.id)
    command.resolve(frame)
    return true
  }

  /** @returns the command if it must be retried later */
  error(frame: ErrorFrame): QueuedCommand | undefined {
    const command = frame.id === undefined ? undefined : this.#commands.get(frame.id)
    if (command === undefined) return undefined
    // `not_attached`: the server postponed the attach, which precedes the retry.
    if ((frame.retryable || frame.code === 'not_attached') && command.retries < MAX_RETRIES) {
      command.retries += 1
      command.delayed = true
      return command
    }
    this.#drop(command, refusal(frame))
    return undefined
  }

  /** Ends the wait of a delayed command. @returns its frame, unless the command has failed meanwhile */
  resume(command: QueuedCommand): Command | undefined {
    command.delayed = false
    return this.#commands.get(command.frame.id) === command ? command.frame : undefined
  }

  /** @param concerns which commands fail; default: all @returns how many */
  fail(error: ParleyError, concerns = (_: QueuedCommand): boolean => true): number {
    const failed = [...this.#commands.values()].filter(concerns)
    for (const command of failed) this.#drop(command, error)
    return failed.length
  }

  #drop(command: QueuedCommand, error: ParleyError): void {
    this.#commands.delete(command.frame.id)
    command.reject(error)
  }
}
