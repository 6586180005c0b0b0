// PendingEntries: buffers live entries in the log's order while a followed session is checked. Entries beyond the
// limits are dropped and reported as `missed`; the log must then be read again.
import type { Entry, Seq } from '../../ports/entry.ts'
import type { Stored } from './record.ts'

const ENTRIES_MAX = 4_096
const BYTES_MAX = 4 * 1024 * 1024

export class PendingEntries {
  #entries: Stored[] = []
  #bytes = 0
  #missed = false

  /** Whether an entry that arrived since `begin` was dropped. */
  get missed(): boolean {
    return this.#missed
  }

  get first(): Stored | undefined {
    return this.#entries[0]
  }

  /** Resets `missed`, because the log is read from here on. */
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

  /** The entries after a position, up to another. */
  between(after: Seq, until: Seq): Entry[] {
    return this.#entries.map(({ entry }) => entry).filter(({ seq }) => seq > after && seq <= until)
  }

  /** Records an entry that cannot be buffered. */
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

  // Usually it is the newest entry. An entry that its appender announces again arrives after later ones.
  #insert(stored: Stored): void {
    let index = this.#entries.length
    while (index > 0 && (this.#entries[index - 1] as Stored).entry.seq > stored.entry.seq) index -= 1
    this.#entries.splice(index, 0, stored)
  }
}
