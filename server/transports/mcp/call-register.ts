// CallRegister: the calls of legacy clients that this node has received, so that a cancel finds them: also one that overtakes its
// call, and one of a call whose run it must not end. Bounded: the oldest calls are forgotten.
import type { JobName } from '../jobs/job-id.ts'
import type { RpcAnswer } from './rpc-answer.ts'

const CALLS = 10_000

export class RegisteredCall {
  isCancelled = false
  /** Whether the call is here; else only its cancel is. */
  isHere = false
  /** The run that a cancel ends. Undefined before the message is stored, and for a run that continues without the call. */
  run: JobName | undefined
  readonly #answers = new Set<RpcAnswer>()

  add(answer: RpcAnswer): void {
    this.#answers.add(answer)
  }

  delete(answer: RpcAnswer): void {
    this.#answers.delete(answer)
  }

  /** Ends the streams of the call without an answer. */
  stop(): void {
    for (const answer of this.#answers) answer.stop()
    this.#answers.clear()
  }
}

export class CallRegister {
  readonly #calls = new Map<string, RegisteredCall>()

  /** @param command the id of the call's message */
  of(command: string): RegisteredCall {
    const known = this.#calls.get(command)
    if (known !== undefined) return known
    const call = new RegisteredCall()
    this.#calls.set(command, call)
    const [oldest] = this.#calls.keys()
    if (this.#calls.size > CALLS && oldest !== undefined) this.#calls.delete(oldest)
    return call
  }
}
