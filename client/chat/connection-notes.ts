// ConnectionNotes: tells the person when the connection is lost, when it returns, and when it uses another transport
// than before. It is silent otherwise.
import type { ConnectionState, MoveReason, TransportState } from '../index.ts'

const NAMES: Readonly<Record<TransportState['door'], string>> = {
  websocket: 'WebSocket',
  sse: 'server-sent events',
  'long-poll': 'long polling',
}

const REASONS: Readonly<Record<MoveReason, string>> = {
  blocked: 'better transports seem to be blocked',
  buffered: 'a proxy seems to buffer answers',
  unstable: 'the better transport kept disconnecting',
  remembered: 'the better transport did not work last time',
}

export class ConnectionNotes {
  readonly #note: (text: string) => void
  #isAway = false
  #transport: TransportState['door'] = 'websocket'

  constructor(note: (text: string) => void) {
    this.#note = note
  }

  update(state: ConnectionState): void {
    // Without a failed attempt, the client only changes the transport or the node.
    if (state.status === 'waiting' && state.attempt > 0 && !this.#isAway) {
      this.#isAway = true
      this.#note(state.opens === 0 ? 'couldn’t reach the server, retrying' : 'connection lost, reconnecting')
    } else if (state.status === 'open') {
      const { door, why } = state.transport
      const reason = why === undefined ? '' : `: ${REASONS[why]}`
      const verb = this.#isAway ? 'reconnected' : 'connected'
      if (door !== this.#transport) this.#note(`${verb} over ${NAMES[door]}${reason}`)
      else if (this.#isAway) this.#note(verb)
      this.#isAway = false
      this.#transport = door
    }
  }
}
