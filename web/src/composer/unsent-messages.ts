// Outbox: the messages of one session that were written here and are not known to be in its log, kept over reloads.
// Each is kept as it was first sent, id and all, so that sending it again after a reload has one effect.
import type { MessageView, Part, Seen } from '@parley/client'
import type { Keep } from '../shared/browser-storage.ts'

export interface Outgoing {
  /** The command's id, which becomes the message's. */
  readonly id: string
  readonly text: string
  readonly policy: 'queue' | 'interrupt'
  /** What was seen of the answer that it interrupts. */
  readonly seen?: Seen
  /** The message after whose answer it stands; null: none. */
  readonly parent?: string | null
  readonly model?: string
  readonly agent?: string
  /** All of it, where it is more than its text. */
  readonly parts?: readonly Part[]
  readonly context?: NonNullable<MessageView['context']>
  /** Why the server refused it. */
  readonly refused?: string
}

const PREFIX = 'parley.outbox.'

export class Outbox {
  readonly #keep: Keep
  readonly #key: string
  /** What the browser would not keep lives as long as the page does. */
  #unkept: readonly Outgoing[] = []

  constructor(keep: Keep, session: string) {
    this.#keep = keep
    this.#key = `${PREFIX}${session}`
  }

  /** In the order in which they were written. */
  get messages(): readonly Outgoing[] {
    return [...this.#kept(), ...this.#unkept]
  }

  /** Whether a reload loses none of them. */
  get isKept(): boolean {
    return this.#unkept.length === 0
  }

  /** Puts a message in, or changes it in its place. */
  put(message: Outgoing): void {
    // Read anew each time: another tab of the same session may have written since.
    const kept = this.#kept()
    const at = kept.findIndex(({ id }) => id === message.id)
    const isUnkept = this.#unkept.some(({ id }) => id === message.id)
    if (!isUnkept && this.#write(at < 0 ? [...kept, message] : kept.with(at, message))) return
    const others = this.#unkept.filter(({ id }) => id !== message.id)
    this.#unkept = [...others, message]
  }

  remove(id: string): void {
    const kept = this.#kept()
    if (kept.some((message) => message.id === id)) this.#write(kept.filter((message) => message.id !== id))
    this.#unkept = this.#unkept.filter((message) => message.id !== id)
  }

  #kept(): readonly Outgoing[] {
    const held = this.#keep.read(this.#key)
    return Array.isArray(held) ? held.filter(isOutgoing) : []
  }

  #write(messages: readonly Outgoing[]): boolean {
    return this.#keep.write(this.#key, messages.length === 0 ? undefined : messages)
  }
}

/** The sessions for which something waits. */
export function waitingSessions(keep: Keep): ReadonlySet<string> {
  return new Set(keep.keys(PREFIX).map((key) => key.slice(PREFIX.length)))
}

/** What is kept may be of another version of the page, or of somebody's making. */
function isOutgoing(value: unknown): value is Outgoing {
  if (typeof value !== 'object' || value === null) return false
  const { id, text, policy, seen, parent, model, agent, parts, context, refused } = value as Partial<
    Record<keyof Outgoing, unknown>
  >
  return (
    isId(id) &&
    typeof text === 'string' &&
    (policy === 'queue' || policy === 'interrupt') &&
    [seen, context].every((told) => told === undefined || (typeof told === 'object' && told !== null)) &&
    (parent === undefined || parent === null || isId(parent)) &&
    (parts === undefined || Array.isArray(parts)) &&
    [model, agent, refused].every((told) => told === undefined || typeof told === 'string')
  )
}

function isId(value: unknown): boolean {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{1,128}$/.test(value)
}
