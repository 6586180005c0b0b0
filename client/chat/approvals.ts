// Approvals: asks the person about the pending approvals of a session, one at a time and in order.
import type { CallView, Session, SessionView } from '../index.ts'
import { openCalls } from '../session/open-calls.ts'

export class Approvals {
  readonly #session: Session
  readonly #answered = new Set<string>()
  #asked: string | undefined

  constructor(session: Session) {
    this.#session = session
  }

  /** The call that the person has been asked about and has not decided. */
  get asked(): string | undefined {
    return this.#asked
  }

  /** @returns the next call to ask about, if any */
  next(view: SessionView): CallView | undefined {
    if (this.#asked !== undefined) {
      if (view.calls.get(this.#asked)?.status === 'deciding') return undefined
      this.#asked = undefined
    }
    const call = openCalls(view).find(({ id, status }) => status === 'deciding' && !this.#answered.has(id))
    this.#asked = call?.id
    return call
  }

  /** Sends the person's decision. An earlier decision of someone else wins. */
  async answer(decision: 'approve' | 'deny'): Promise<void> {
    const call = this.#asked
    if (call === undefined) return
    this.#asked = undefined
    this.#answered.add(call)
    await this.#session.decide(call, decision)
  }
}
