// Sender: sends the messages that are written in one session, exactly once. A message is stored before it is sent, and
// removed when the server has accepted it. After a reload the page sends the stored messages again, with the same ids.
import { type MessageView, ParleyError, type Part, parentOfNext, type Session } from '@parley/client'
import { makeId } from '@parley/protocol/make-id'
import { errorNote } from '../connection/error-note.ts'
import { Store } from '../shared/store.ts'
import type { Choice } from './choices.ts'
import type { UnsentMessage, UnsentMessages } from './unsent-messages.ts'

/** While an answer streams, a new message interrupts it, waits in the queue, or is given to the answer. */
export type SendMode = 'interrupt' | 'queue' | 'steer'

export interface SenderState {
  /** Messages that the server refused. The page keeps their text. */
  readonly refused: readonly UnsentMessage[]
  /** Counts the sent messages: after each the conversation scrolls to its end. */
  readonly sends: number
}

/** The part of a session that a sender uses. */
export type SendingSession = Pick<Session, 'id' | 'send' | 'state'>

/** The page or the connection closed before the reply: the message may have arrived, so it is sent again later. */
const UNKNOWN_OUTCOME: ReadonlySet<string> = new Set(['closed', 'disconnected'])

export class Sender extends Store<SenderState> {
  readonly #session: SendingSession
  readonly #unsent: UnsentMessages
  readonly #now: () => number
  readonly #onRefused: ((error: ParleyError) => void) | undefined
  /** The ids of the messages that this page has sent. */
  readonly #sent = new Set<string>()

  /** @param now the server's clock, in Unix milliseconds */
  constructor(
    session: SendingSession,
    unsent: UnsentMessages,
    onRefused?: (error: ParleyError) => void,
    now: () => number = Date.now,
  ) {
    const { messages } = unsent
    super({ refused: messages.filter(({ refused }) => refused !== undefined), sends: 0 })
    this.#session = session
    this.#unsent = unsent
    this.#now = now
    this.#onRefused = onRefused
    for (const message of messages) if (message.refused === undefined) this.#post(message)
  }

  send(text: string, mode: SendMode, choice: Choice = {}): void {
    const parent = parentOfNext(this.#session.state)
    this.#put({ text, ...choice, ...this.#policy(mode), ...(parent === undefined ? {} : { parent }) })
    this.setState({ ...this.state, sends: this.state.sends + 1 })
  }

  /** Sends a new version of a message. Its other parts stay, and a streaming answer is interrupted. */
  edit(message: MessageView, text: string, choice: Choice): void {
    const others = message.content.filter(({ type }) => type !== 'text')
    this.#revise(message, text, choice, others.length === 0 ? undefined : [{ type: 'text', text }, ...others])
  }

  /** Requests another answer to a message. @param id the command's id: a repeat with the same id has no effect */
  regenerate(message: MessageView, choice: Choice, id: string): void {
    if (this.#sent.has(id)) return
    const { content, text } = message
    this.#revise(message, text, choice, content.length === 1 && content[0]?.type === 'text' ? undefined : content, id)
  }

  /** Uses the same id: if the server has accepted the message after all, it accepts it only once. */
  retry(message: UnsentMessage): void {
    const { refused: _, ...again } = message
    this.#unsent.put(again)
    this.#removeRefused(message.id)
    this.#post(again)
  }

  dismiss(message: UnsentMessage): void {
    this.#unsent.remove(message.id)
    this.#removeRefused(message.id)
  }

  #revise({ parent, context }: MessageView, text: string, choice: Choice, parts?: readonly Part[], id?: string): void {
    const revised = {
      text,
      ...choice,
      ...this.#policy('interrupt'),
      ...(parent === undefined ? {} : { parent }),
      ...(parts === undefined ? {} : { parts }),
      ...(context === undefined ? {} : { context }),
    }
    this.#put(revised, id)
  }

  /** Reads the active run from the session, because the painted view may be a frame behind. */
  #policy(mode: SendMode): Pick<UnsentMessage, 'policy' | 'seen'> {
    const { activeRun, runs } = this.#session.state
    const run = mode !== 'queue' && activeRun !== undefined ? runs.get(activeRun) : undefined
    if (run === undefined) return { policy: 'queue' }
    if (mode === 'steer') return { policy: 'steer' }
    return { policy: 'interrupt', seen: { run: run.id, index: run.next - 1 } }
  }

  #put(content: Omit<UnsentMessage, 'id'>, id = makeId('msg')): void {
    const message = { id, ...content }
    this.#unsent.put(message)
    this.#post(message)
  }

  #post(message: UnsentMessage): void {
    this.#sent.add(message.id)
    this.#accepted(message).then(
      () => this.#unsent.remove(message.id),
      (error: unknown) => {
        if (error instanceof ParleyError && UNKNOWN_OUTCOME.has(error.code)) return
        const refused = { ...message, refused: errorNote(error, this.#now()) }
        this.#unsent.put(refused)
        this.setState({ ...this.state, refused: [...this.state.refused, refused] })
        if (error instanceof ParleyError) this.#onRefused?.(error)
      },
    )
  }

  /** Rejects if the session has ended, and if the server refuses the message. */
  async #accepted({ text, parts, refused: _, ...options }: UnsentMessage): Promise<void> {
    await this.#session.send(parts === undefined ? text : [...parts], options).accepted
  }

  #removeRefused(id: string): void {
    this.setState({ ...this.state, refused: this.state.refused.filter((other) => other.id !== id) })
  }
}
