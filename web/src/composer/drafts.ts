// Drafts: what is being written in each session, kept over reloads. Bounded: of sessions that are long gone from the
// list of recent ones the drafts go, too.
import type { Keep } from '../shared/browser-storage.ts'

const PREFIX = 'parley.draft.'
const MAX = 100

export class Drafts {
  readonly #keep: Keep

  constructor(keep: Keep) {
    this.#keep = keep
  }

  read(session: string): string {
    const held = this.#keep.read(PREFIX + session)
    return typeof held === 'string' ? held : ''
  }

  write(session: string, text: string): void {
    this.#keep.write(PREFIX + session, text === '' ? undefined : text)
  }

  /** @param known sessions whose drafts stay */
  trim(known: ReadonlySet<string>): void {
    const keys = this.#keep.keys(PREFIX)
    if (keys.length <= MAX) return
    for (const key of keys) if (!known.has(key.slice(PREFIX.length))) this.#keep.write(key, undefined)
  }
}
