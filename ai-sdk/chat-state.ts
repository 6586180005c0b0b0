// ChatState: what a transport knows of one chat: its session, its open streams, the answer that waits for it, and the
// ids by which it knows its messages.
import type { Session } from '@parley/client'
import type { AnswerChunks } from './answer-chunks.ts'

export class ChatState {
  readonly session: Session
  readonly names: MessageNames
  /** The answer whose stream ended because it waits for the chat. */
  parked: AnswerChunks | undefined
  /** Requests and streams of the chat that are not over. */
  #open = 0
  #reconnects = 0

  constructor(session: Session, names = new MessageNames()) {
    this.session = session
    this.names = names
  }

  get isBusy(): boolean {
    return this.#open > 0
  }

  /** A request or a stream begins. @returns a function to call once, at its end */
  begin(): () => void {
    this.#open += 1
    return () => {
      this.#open -= 1
    }
  }

  /** @returns whether this is still the last reconnect */
  newReconnect(): () => boolean {
    this.#reconnects += 1
    const own = this.#reconnects
    return () => own === this.#reconnects
  }
}

/** A new version of a message has another id in the session, but keeps its id in the chat. */
export class MessageNames {
  readonly #inSession = new Map<string, string>()
  readonly #inChat = new Map<string, string>()

  set(uiId: string, id: string): void {
    if (uiId === id) return
    this.#inSession.set(uiId, id)
    this.#inChat.set(id, uiId)
  }

  /** The message's id in the session. */
  of(uiId: string): string {
    return this.#inSession.get(uiId) ?? uiId
  }

  /** The message's id in the chat. */
  readonly uiId = (id: string): string => this.#inChat.get(id) ?? id
}
