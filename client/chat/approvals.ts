// Approvals: tool calls of a session that wait for a person, one asked at a time, in their order.
import type { CallView, Session, SessionView } from '../index.ts'

export class Approvals {
  readonly #session: Session
  readonly #answered = new Set<string>()
  #asked: string | undefined

  constructor(session: Session) {
    this.#session = session
  }

  /** The call that the person was asked about and has not answered. */
  get asked(): string | undefined {
    return this.#asked
  }

  /** @returns a call to ask about now, if there is one that was not asked about yet */
  next(view: SessionView): CallView | undefined {
    if (this.#asked !== undefined) {
      if (view.calls.get(this.#asked)?.status === 'deciding') return undefined
      this.#asked = undefined
    }
    for (const run of view.open) {
      for (const part of view.runs.get(run)?.parts ?? []) {
        const call = part.type === 'tool' ? view.calls.get(part.call) : undefined
        if (call?.status !== 'deciding' || this.#answered.has(call.id)) continue
        this.#asked = call.id
        return call
      }
    }
    return undefined
  }

  /** The person's answer; somebody else may have been quicker, which is then the decision. */
  async answer(decision: 'approve' | 'deny', reason?: string): Promise<void> {
    const call = this.#asked
    if (call === undefined) return
    this.#asked = undefined
    this.#answered.add(call)
    await this.#session.decide(call, decision, reason)
  }
}
