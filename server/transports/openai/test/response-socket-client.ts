// ResponseSocketClient: a plain client of the Responses WebSocket, which keeps all events that it gets.
import WebSocket from 'ws'

/** An event of the server, with the fields that tests read. */
export interface SocketEvent {
  readonly type: string
  readonly sequence_number?: number
  readonly stream_id?: string
  readonly delta?: string
  readonly status?: number
  readonly error?: { readonly code: string | null; readonly param?: string | null; readonly message: string }
  readonly response?: {
    readonly id: string
    readonly status: string
    readonly store: boolean
    readonly incomplete_details: { readonly reason: string } | null
    readonly previous_response_id: string | null
  }
  readonly steer?: { readonly previous_response_id: string; readonly input?: unknown }
}

const ENDS = /^(response\.(completed|incomplete|failed)|error)$/

export class ResponseSocketClient {
  readonly events: SocketEvent[] = []
  readonly socket: WebSocket
  /** Resolves with the close code. */
  readonly closed: Promise<number>
  #taken = 0
  #wake: () => void = () => undefined

  private constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('message', (data) => {
      this.events.push(JSON.parse(String(data)) as SocketEvent)
      this.#wake()
    })
    this.closed = new Promise((resolve) => socket.on('close', resolve))
  }

  /** @param origin such as `http://127.0.0.1:8080` @throws if the server refuses the upgrade: `Unexpected server response: 401` */
  static async open(origin: string, headers: Readonly<Record<string, string>> = {}): Promise<ResponseSocketClient> {
    const socket = new WebSocket(`${origin.replace('http', 'ws')}/v1/responses`, { headers })
    const client = new ResponseSocketClient(socket)
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
    return client
  }

  create(input: unknown, more: object = {}): void {
    this.send({ type: 'response.create', model: 'demo', input, ...more })
  }

  send(frame: object): void {
    this.socket.send(JSON.stringify(frame))
  }

  /** Resolves with the next event that matches, after the last one that was asked for. */
  async next(matches: (event: SocketEvent) => boolean = () => true): Promise<SocketEvent> {
    for (;;) {
      for (; this.#taken < this.events.length; ) {
        const event = this.events[this.#taken] as SocketEvent
        this.#taken += 1
        if (matches(event)) return event
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  nextOf(type: string): Promise<SocketEvent> {
    return this.next((event) => event.type === type)
  }

  /** The end of the next response, or the next error. */
  nextEnd(): Promise<SocketEvent> {
    return this.next(({ type }) => ENDS.test(type))
  }

  /** The id of the next response. */
  async nextId(): Promise<string> {
    return (await this.nextOf('response.created')).response?.id ?? ''
  }

  text(streamId?: string): string {
    return this.events.flatMap(({ delta, stream_id: id }) => (id === streamId ? [delta ?? ''] : [])).join('')
  }
}
