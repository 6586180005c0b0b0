// Sender: sends what is written in one session, once. A message goes into the outbox before it goes out, and leaves it
// when the server has said that it has it; a page that is loaded anew sends what it finds there, under the same ids.
import { type MessageView, ParleyError, type Part, parentOfNext, type Session } from '@parley/client'
import { makeId } from '@parley/protocol/make-id'
import { refusalNote } from '../connection/refusal-note.ts'
import type { Outbox, Outgoing } from './unsent-messages.ts'

/** What becomes of the answer that is being given: it is interrupted, or the message waits for its end. */
export type Manner = 'now' | 'after'

export interface SenderState {
  /** Messages that the server refused: no text is lost. */
  readonly unsent: readonly Outgoing[]
  /** How often something was sent here: the conversation shows its end after each. */
  readonly sends: number
}

/** What a sender needs of a session. */
export type SendingSession = Pick<Session, 'id' | 'send' | 'state'>

/** The page was left, or the connection ended for good: the message may have arrived, and is sent again later. */
const UNKNOWN: ReadonlySet<string> = new Set(['closed', 'disconnected'])

export class Sender {
  readonly #session: SendingSession
  readonly #outbox: Outbox
  readonly #onRefused: ((error: ParleyError) => void) | undefined
  readonly #listeners = new Set<() => void>()
  readonly #sent = new Set<string>()
  #state: SenderState

  constructor(session: SendingSession, outbox: Outbox, onRefused?: (error: ParleyError) => void) {
    this.#session = session
    this.#outbox = outbox
    this.#onRefused = onRefused
    const { messages } = outbox
    this.#state = { unsent: messages.filter(({ refused }) => refused !== undefined), sends: 0 }
    for (const message of messages) if (message.refused === undefined) this.#post(message)
  }

  get state(): SenderState {
    return this.#state
  }

  /** Bound, so that React can be given it as it is. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  send(text: string, manner: Manner): void {
    const parent = parentOfNext(this.#session.state)
    this.#put({ text, ...this.#policy(manner), ...(parent === undefined ? {} : { parent }) })
    this.#become({ sends: this.#state.sends + 1 })
  }

  /** Says this instead of an earlier message; what else than text was in that stays. An answer that is being given is interrupted. */
  edit(message: MessageView, text: string): void {
    const others = message.content.filter(({ type }) => type !== 'text')
    this.#revise(message, text, others.length === 0 ? undefined : [{ type: 'text', text }, ...others])
  }

  /** Has a message answered once more. */
  regenerate(message: MessageView): void {
    const { content, text } = message
    this.#revise(message, text, content.length === 1 && content[0]?.type === 'text' ? undefined : content)
  }

  /** Under the same id: should the server have taken it after all, it has taken it once. */
  retry(message: Outgoing): void {
    const { refused: _, ...again } = message
    this.#outbox.put(again)
    this.#leave(message.id)
    this.#post(again)
  }

  dismiss(message: Outgoing): void {
    this.#outbox.remove(message.id)
    this.#leave(message.id)
  }

  #revise({ parent, model, agent, context }: MessageView, text: string, parts: readonly Part[] | undefined): void {
    this.#put({
      text,
      ...this.#policy('now'),
      ...(parent === undefined ? {} : { parent }),
      ...(model === undefined ? {} : { model }),
      ...(agent === undefined ? {} : { agent }),
      ...(parts === undefined ? {} : { parts }),
      ...(context === undefined ? {} : { context }),
    })
  }

  /** The active run is looked up now, and not when the page was last painted. */
  #policy(manner: Manner): Pick<Outgoing, 'policy' | 'seen'> {
    const { activeRun, runs } = this.#session.state
    const run = manner === 'now' && activeRun !== undefined ? runs.get(activeRun) : undefined
    if (run === undefined) return { policy: 'queue' }
    return { policy: 'interrupt', seen: { run: run.id, index: run.next - 1 } }
  }

  #put(said: Omit<Outgoing, 'id'>): void {
    const message = { id: makeId('msg'), ...said }
    this.#outbox.put(message)
    this.#post(message)
  }

  /** Whether a message was sent by this page. */
  isOwn(message: string): boolean {
    return this.#sent.has(message)
  }

  #post(message: Outgoing): void {
    this.#sent.add(message.id)
    const { text, parts, refused: _, ...options } = message
    const { id } = options
    const reply = this.#session.send(parts === undefined ? text : [...parts], options)
    reply.accepted.then(
      () => this.#outbox.remove(id),
      (error: unknown) => {
        if (error instanceof ParleyError && UNKNOWN.has(error.code)) return
        const refused = { ...message, refused: refusalNote(error) }
        this.#outbox.put(refused)
        this.#become({ unsent: [...this.#state.unsent, refused] })
        if (error instanceof ParleyError) this.#onRefused?.(error)
      },
    )
  }

  #leave(id: string): void {
    this.#become({ unsent: this.#state.unsent.filter((other) => other.id !== id) })
  }

  #become(change: Partial<SenderState>): void {
    this.#state = { ...this.#state, ...change }
    for (const listener of [...this.#listeners]) listener()
  }
}
