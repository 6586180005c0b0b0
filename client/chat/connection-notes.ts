// Connection notes: tells the person when the connection goes and comes back, and when it takes another way than the
// best one; and nothing in between.
import type { ConnectionState, MoveReason, TransportState } from '../index.ts'

const DOORS: Readonly<Record<TransportState['door'], string>> = {
  websocket: 'a WebSocket',
  sse: 'server-sent events',
  'long-poll': 'long polls',
}

const REASONS: Readonly<Record<MoveReason, string>> = {
  blocked: 'something on the way blocks what is better',
  buffered: 'something on the way holds answers back',
  unstable: 'what is better broke again and again',
  remembered: 'what is better did not work the last time',
}

export class ConnectionNotes {
  readonly #note: (text: string) => void
  #away = false
  #door: TransportState['door'] = 'websocket'

  constructor(note: (text: string) => void) {
    this.#note = note
  }

  update(state: ConnectionState): void {
    // Without a failed attempt, another door is tried, or another node.
    if (state.status === 'waiting' && state.attempt > 0 && !this.#away) {
      this.#away = true
      this.#note(state.opens === 0 ? 'the server cannot be reached; trying again' : 'connection lost; trying again')
    } else if (state.status === 'open') {
      const { door, why } = state.transport
      const reason = why === undefined ? '' : `: ${REASONS[why]}`
      const again = this.#away ? ' again' : ''
      if (door !== this.#door) this.#note(`connected${again} over ${DOORS[door]}${reason}`)
      else if (this.#away) this.#note('connected again')
      this.#away = false
      this.#door = door
    }
  }
}
