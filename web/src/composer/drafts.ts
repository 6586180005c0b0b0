// Drafts: the unfinished message of each session, over reloads. If there are many, drafts and choices of sessions outside
// the list of recent sessions are removed.
import { LIMITS } from '@parley/protocol/limits'
import type { BrowserStorage } from '../shared/browser-storage.ts'
import { Store } from '../shared/store.ts'
import { CHOICE_PREFIX } from './choices.ts'

const PREFIX = 'parley.draft.'
const MAX = 100

export class Drafts {
  readonly #storage: BrowserStorage

  constructor(storage: BrowserStorage) {
    this.#storage = storage
  }

  read(session: string): string {
    const stored = this.#storage.read(PREFIX + session)
    return typeof stored === 'string' ? stored : ''
  }

  write(session: string, text: string): void {
    this.#storage.write(PREFIX + session, text === '' ? undefined : text)
  }

  /** @param known sessions whose drafts and choices are kept */
  trim(known: ReadonlySet<string>): void {
    for (const prefix of [PREFIX, CHOICE_PREFIX]) {
      const keys = this.#storage.keys(prefix)
      if (keys.length <= MAX) continue
      for (const key of keys) if (!known.has(key.slice(prefix.length))) this.#storage.write(key, undefined)
    }
  }
}

/** What the page says about a message that the server would refuse for its length; undefined if it is short enough. */
export function lengthNote({ length }: string): string | undefined {
  if (length <= LIMITS.messageChars) return undefined
  return `Too long: ${length.toLocaleString('en')} of ${LIMITS.messageChars.toLocaleString('en')} characters.`
}

/** The draft of one session. */
export class Draft extends Store<string> {
  readonly #drafts: Drafts
  readonly #session: string

  constructor(drafts: Drafts, session: string) {
    super(drafts.read(session))
    this.#drafts = drafts
    this.#session = session
  }

  write(text: string): void {
    this.#drafts.write(this.#session, text)
    this.setState(text)
  }

  /** Puts a text before what is already written. */
  bringBack(text: string): void {
    this.write(this.state.trim() === '' ? text : `${text}\n\n${this.state}`)
  }
}
