// PendingEntries: what was republished while a feed could not hand it out, in the log's order. Bounded: what does not fit is not
// kept, and is missed; then the log is read again, which has it.
import type { Entry, Seq } from '../../ports/entry.ts'
import type { Stored } from './record.ts'

const ENTRIES_MAX = 4_096
const BYTES_MAX = 4 * 1024 * 1024

export class PendingEntries {
  #entries: Stored[] = []
  #bytes = 0
  #missed = false

  /** Something that came since `begin` is not here. */
  get missed(): boolean {
    return this.#missed
  }

  get first(): Stored | undefined {
    return this.#entries[0]
  }

  /** From now on nothing may be missed; what was, is read from the log. */
  begin(): void {
    this.#missed = false
  }

  put(stored: Stored): void {
    const bytes = stored.entry.json.length
    if (this.#entries.length >= ENTRIES_MAX || this.#bytes + bytes > BYTES_MAX) this.#missed = true
    else {
      this.#insert(stored)
      this.#bytes += bytes
    }
  }

  /** Those after a place, up to another. */
  between(after: Seq, until: Seq): Entry[] {
    return this.#entries.map(({ entry }) => entry).filter(({ seq }) => seq > after && seq <= until)
  }

  miss(): void {
    this.#missed = true
  }

  removeFirst(): void {
    this.#bytes -= this.#entries.shift()?.entry.json.length ?? 0
  }

  clear(): void {
    this.#entries = []
    this.#bytes = 0
  }

  // Nearly always the last. One that was announced because it was not republished comes after later ones.
  #insert(stored: Stored): void {
    let index = this.#entries.length
    while (index > 0 && (this.#entries[index - 1] as Stored).entry.seq > stored.entry.seq) index -= 1
    this.#entries.splice(index, 0, stored)
  }
}
