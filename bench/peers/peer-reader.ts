// PeerReader: reads one topic of a peer, and resumes after a cut as far as the peer supports it: with a cursor, an
// offset or a number of characters, or not at all. It counts missing and repeated outputs.
import { RawClient } from '../harness/raw-client.ts'
import type { Peer } from './peer-message.ts'
import { RawStream } from './raw-stream.ts'

interface PeerConnection {
  close(): void
}

const INDEX = '"index":'
const CURSOR = '"cursor":"'
const NINE = 0x39
/** Types of frames and events that are parsed completely. */
const RARE = ['"type":"run.snapshot"', '"type":"run.ended"', '"type":"attached"']
const ZERO = 0x30

export class PeerReader {
  readonly #peer: Peer
  readonly #port: number
  readonly #topic: number
  readonly #from: string | undefined
  readonly #onMessage: (payload: Buffer) => void
  #connection: PeerConnection | undefined
  /** The next expected index. */
  #next = 0
  #skipped = 0
  #repeated = 0
  /** Parley: the last cursor, and the run's number of outputs, which may be less than its tokens. */
  #cursor = ''
  #outputs: number | undefined
  /** Socket.IO's recovery data. */
  #recoveryId = ''
  #offset = ''
  /** resumable-stream: the number of characters received. */
  #characters = 0

  /**
   * @param onMessage called with each message or chunk that contains outputs
   * @param from the local address; only for Parley
   */
  constructor(peer: Peer, port: number, topic: number, onMessage: (payload: Buffer) => void, from?: string) {
    this.#peer = peer
    this.#port = port
    this.#topic = topic
    this.#onMessage = onMessage
    this.#from = from
  }

  get repeated(): number {
    return this.#repeated
  }

  /** The number of missing outputs. */
  missing(outputs: number): number {
    return this.#skipped + Math.max(0, (this.#outputs ?? outputs) - this.#next)
  }

  /** Resolves when the reader receives everything published from now on. */
  async connect(): Promise<void> {
    this.#connection = await this.#open()
  }

  close(): void {
    this.#connection?.close()
    this.#connection = undefined
  }

  send(id: string, text: string): void {
    const frame = { type: 'send', id, session: this.#session, content: text }
    if (this.#connection instanceof RawClient) this.#connection.send(frame)
  }

  get #session(): string {
    return `bench_${this.#topic}`
  }

  #open(): Promise<PeerConnection> {
    const topic = `t${this.#topic}`
    switch (this.#peer) {
      case 'parley':
        return this.#openParley()
      case 'bare':
      case 'ws':
        return RawClient.open(this.#port, `/?${topic}`, (payload) => this.#take(payload))
      case 'socket.io':
        return this.#openSocketIo(`/socket.io/?EIO=4&transport=websocket&topic=${topic}`)
      case 'sse':
        return RawStream.open(
          this.#port,
          `/${topic}?skip=${this.#characters}`,
          (line) => this.#take(line),
          (count) => {
            this.#characters += count
          },
        )
    }
  }

  async #openParley(): Promise<PeerConnection> {
    const [live, resolve] = signal()
    const take = (payload: Buffer): void => {
      if (payload.includes('"type":"live"')) resolve()
      this.#takeEntries(payload)
    }
    const client = await RawClient.open(this.#port, '/v1/ws', take, undefined, this.#from)
    client.send({ type: 'hello' })
    const after = this.#cursor === '' ? {} : { after: this.#cursor }
    client.send({ type: 'attach', id: 'attach', session: this.#session, ...after })
    await live
    return client
  }

  async #openSocketIo(path: string): Promise<PeerConnection> {
    const [joined, resolve] = signal()
    const connection = await RawClient.open(this.#port, path, (payload, client) => {
      const text = payload.toString('latin1', 0, 2)
      if (text === '42') {
        this.#offset = lastWord(payload)
        this.#take(payload)
      } else if (text === '40') {
        this.#recoveryId = (JSON.parse(payload.toString('utf8', 2)) as { pid: string }).pid
        resolve()
      } else if (text.startsWith('0')) {
        const before = this.#recoveryId === '' ? '' : JSON.stringify({ pid: this.#recoveryId, offset: this.#offset })
        client.sendText(`40${before}`)
      } else if (text === '2') {
        client.sendText('3')
      }
    })
    await joined
    return connection
  }

  /** Nearly all frames are outputs, which are scanned as bytes. Only the rest is parsed. */
  #takeEntries(payload: Buffer): void {
    if (RARE.some((type) => payload.includes(type))) {
      const frames = JSON.parse(payload.toString()) as unknown
      for (const frame of (Array.isArray(frames) ? frames : [frames]) as EntryFrame[]) {
        if (frame.type !== 'entry') continue
        this.#cursor = frame.cursor
        const { event } = frame
        // A snapshot includes all earlier outputs.
        if (event.type === 'run.snapshot') this.#next = Math.max(this.#next, event.next ?? 0)
        else if (event.type === 'run.output') this.#see(event.index ?? 0)
        else if (event.type === 'run.ended') this.#outputs = event.next
      }
      return
    }
    if (!payload.includes('"type":"entry"')) return
    const at = payload.lastIndexOf(CURSOR) + CURSOR.length
    this.#cursor = payload.toString('latin1', at, payload.indexOf('"', at))
    this.#take(payload)
  }

  #take(payload: Buffer): void {
    this.#onMessage(payload)
    for (let at = payload.indexOf(INDEX); at >= 0; at = payload.indexOf(INDEX, at + 1)) {
      let index = 0
      for (let digit = at + INDEX.length; ; digit += 1) {
        const value = payload[digit] ?? 0
        if (value < ZERO || value > NINE) break
        index = index * 10 + value - ZERO
      }
      this.#see(index)
    }
  }

  #see(index: number): void {
    if (index < this.#next) {
      this.#repeated += 1
      return
    }
    this.#skipped += index - this.#next
    this.#next = index + 1
  }
}

interface EntryFrame {
  readonly type: string
  readonly cursor: string
  readonly event: { readonly type: string; readonly next?: number; readonly index?: number }
}

function signal(): [Promise<void>, () => void] {
  let resolve: () => void = () => undefined
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return [promise, resolve]
}

/** The last word of `42["out",…,"<word>"]`. */
function lastWord(payload: Buffer): string {
  const end = payload.length - 2
  return payload.toString('latin1', payload.lastIndexOf('"', end - 1) + 1, end)
}
