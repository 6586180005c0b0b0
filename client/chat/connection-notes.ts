// Connection notes: tells the person when the connection goes and comes back, and nothing in between.
import type { ConnectionState } from '../index.ts'

export class ConnectionNotes {
  readonly #note: (text: string) => void
  #away = false

  constructor(note: (text: string) => void) {
    this.#note = note
  }

  update(state: ConnectionState): void {
    if (state.status === 'waiting' && !this.#away) {
      this.#away = true
      this.#note(state.opens === 0 ? 'the server cannot be reached; trying again' : 'connection lost; trying again')
    } else if (state.status === 'open' && this.#away) {
      this.#away = false
      this.#note('connected again')
    }
  }
}
