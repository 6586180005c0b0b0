// UnsentMessages: the messages of one session that were written here and that the server has not confirmed, over
// reloads. Each keeps its id and options from the first attempt, so that sending it again has one effect.
import type { MessageView, Part, Seen } from '@parley/client'
import type { BrowserStorage } from '../shared/browser-storage.ts'

export interface UnsentMessage {
  /** The command's id, which becomes the message's id. */
  readonly id: string
  readonly text: string
  readonly policy: 'queue' | 'interrupt' | 'steer'
  /** How much the user has seen of the answer that the message interrupts. */
  readonly seen?: Seen
  /** The message that this one follows; null: it is the first. */
  readonly parent?: string | null
  readonly model?: string
  readonly agent?: string
  /** The whole content, if it is more than the text. */
  readonly parts?: readonly Part[]
  readonly context?: NonNullable<MessageView['context']>
  /** Why the server refused it. */
  readonly refused?: string
}

const PREFIX = 'parley.outbox.'

export class UnsentMessages {
  readonly #storage: BrowserStorage
  readonly #key: string
  /** Messages that the browser could not store. They live as long as the page. */
  #inMemory: readonly UnsentMessage[] = []

  constructor(storage: BrowserStorage, session: string) {
    this.#storage = storage
    this.#key = `${PREFIX}${session}`
  }

  /** In the order in which they were written. */
  get messages(): readonly UnsentMessage[] {
    return [...this.#stored(), ...this.#inMemory]
  }

  /** Whether all of them survive a reload. */
  get isStored(): boolean {
    return this.#inMemory.length === 0
  }

  /** Adds a message, or replaces it in its position. */
  put(message: UnsentMessage): void {
    // Read the stored list each time, because another tab with the same session may have written.
    const stored = this.#stored()
    const at = stored.findIndex(({ id }) => id === message.id)
    const isInMemory = this.#inMemory.some(({ id }) => id === message.id)
    if (!isInMemory && this.#write(at < 0 ? [...stored, message] : stored.with(at, message))) return
    const others = this.#inMemory.filter(({ id }) => id !== message.id)
    this.#inMemory = [...others, message]
  }

  remove(id: string): void {
    const stored = this.#stored()
    if (stored.some((message) => message.id === id)) this.#write(stored.filter((message) => message.id !== id))
    this.#inMemory = this.#inMemory.filter((message) => message.id !== id)
  }

  #stored(): readonly UnsentMessage[] {
    const value = this.#storage.read(this.#key)
    return Array.isArray(value) ? value.filter(isUnsentMessage) : []
  }

  #write(messages: readonly UnsentMessage[]): boolean {
    return this.#storage.write(this.#key, messages.length === 0 ? undefined : messages)
  }
}

export function sessionsWithUnsent(storage: BrowserStorage): ReadonlySet<string> {
  return new Set(storage.keys(PREFIX).map((key) => key.slice(PREFIX.length)))
}

/** The stored value may come from another version of the page, or from somebody else. */
function isUnsentMessage(value: unknown): value is UnsentMessage {
  if (typeof value !== 'object' || value === null) return false
  const { id, text, policy, seen, parent, model, agent, parts, context, refused } = value as Partial<
    Record<keyof UnsentMessage, unknown>
  >
  return (
    isId(id) &&
    typeof text === 'string' &&
    (policy === 'queue' || policy === 'interrupt' || policy === 'steer') &&
    [seen, context].every((field) => field === undefined || (typeof field === 'object' && field !== null)) &&
    (parent === undefined || parent === null || isId(parent)) &&
    (parts === undefined || Array.isArray(parts)) &&
    [model, agent, refused].every((field) => field === undefined || typeof field === 'string')
  )
}

function isId(value: unknown): boolean {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{1,128}$/.test(value)
}
