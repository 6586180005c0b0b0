// CallRegister: the calls of legacy clients that this node has received, so that a cancel finds them, whichever node gets it: also one
// that overtakes its call, and one of a call whose run it must not end. Bounded: the oldest calls are forgotten.
import { Id } from '@parley/protocol'
import { z } from 'zod'
import type { NodeNews } from '../../store/ports/node-news.ts'
import type { Subscription } from '../../store/ports/session-log.ts'
import type { JobName } from '../jobs/job-id.ts'
import type { RpcAnswer } from './rpc-answer.ts'

const CALLS = 10_000

export class RegisteredCall {
  isCancelled = false
  /** Ends the call. Undefined if it is not here, but only its cancel is. */
  end: (() => Promise<void>) | undefined
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

/** What nodes publish: the id of the call's message. It is derived from the client's session, which other clients do not know. */
const Cancelled = z.object({ command: Id })

export class CallRegister {
  readonly #calls = new Map<string, RegisteredCall>()
  readonly #news: NodeNews | undefined
  readonly #subscription: Subscription | undefined

  /**
   * @param news undefined on a single node
   * @param failed called if a call that was cancelled at another node could not be ended here
   */
  constructor(news: NodeNews | undefined, failed: (error: unknown) => void) {
    this.#news = news
    this.#subscription = news?.onNotified((message) => {
      const { data } = Cancelled.safeParse(message)
      if (data !== undefined) this.#cancelledElsewhere(data.command).catch(failed)
    })
  }

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

  /** Ends the call on every node that has it. @returns whether this node has it @throws the errors of `end` */
  async cancel(command: string): Promise<boolean> {
    const call = this.of(command)
    call.isCancelled = true
    this.#news?.notify({ command } satisfies z.infer<typeof Cancelled>)
    await call.end?.()
    return call.end !== undefined
  }

  close(): void {
    this.#subscription?.close()
  }

  async #cancelledElsewhere(command: string): Promise<void> {
    const call = this.of(command)
    // It was cancelled here.
    if (call.isCancelled) return
    call.isCancelled = true
    await call.end?.()
  }
}
