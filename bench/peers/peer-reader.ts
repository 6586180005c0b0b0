// PeerReader: reads one topic of a peer, and goes on there after a cut as well as that peer allows: with a cursor, with the
// offset of its recovery, with the characters that it has had, or not at all. Counts what never came, and what came twice.
import { RawClient } from '../harness/raw-client.ts'
import type { Peer } from './peer-message.ts'
import { RawStream } from './raw-stream.ts'

interface Link {
  close(): void
}

const INDEX = '"index":'
const CURSOR = '"cursor":"'
const NINE = 0x39
/** Types of frames and events that are looked at closely. */
const RARE = ['"type":"run.snapshot"', '"type":"run.ended"', '"type":"attached"']
const ZERO = 0x30

export class PeerReader {
  readonly #peer: Peer
  readonly #port: number
  readonly #topic: number
  readonly #from: string | undefined
  readonly #onMessage: (payload: Buffer) => void
  #link: Link | undefined
  /** The index that comes next. */
  #next = 0
  #skipped = 0
  #repeated = 0
  /** Of Parley: the last entry, and how many outputs the run had: tokens that come together are one. */
  #cursor = ''
  #whole: number | undefined
  /** Of Socket.IO. */
  #private = ''
  #offset = ''
  /** Of the stream: characters that came. */
  #characters = 0

  /**
   * @param onMessage with each message, or piece of a stream, that carries outputs
   * @param from the address of its own end; of Parley's readers only
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

  /** How many of so many outputs have not come. */
  missing(outputs: number): number {
    return this.#skipped + Math.max(0, (this.#whole ?? outputs) - this.#next)
  }

  /** Resolves when it would miss nothing of what is published from now on. */
  async connect(): Promise<void> {
    this.#link = await this.#open()
  }

  close(): void {
    this.#link?.close()
    this.#link = undefined
  }

  send(id: string, text: string): void {
    const frame = { type: 'send', id, session: this.#session, content: text }
    if (this.#link instanceof RawClient) this.#link.send(frame)
  }

  get #session(): string {
    return `bench_${this.#topic}`
  }

  #open(): Promise<Link> {
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

  async #openParley(): Promise<Link> {
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

  async #openSocketIo(path: string): Promise<Link> {
    const [joined, resolve] = signal()
    const link = await RawClient.open(this.#port, path, (payload, client) => {
      const text = payload.toString('latin1', 0, 2)
      if (text === '42') {
        this.#offset = lastWord(payload)
        this.#take(payload)
      } else if (text === '40') {
        this.#private = (JSON.parse(payload.toString('utf8', 2)) as { pid: string }).pid
        resolve()
      } else if (text.startsWith('0')) {
        const before = this.#private === '' ? '' : JSON.stringify({ pid: this.#private, offset: this.#offset })
        client.sendText(`40${before}`)
      } else if (text === '2') {
        client.sendText('3')
      }
    })
    await joined
    return link
  }

  /** Nearly all that comes are outputs; the rest is looked at closely. */
  #takeEntries(payload: Buffer): void {
    if (RARE.some((type) => payload.includes(type))) {
      const frames = JSON.parse(payload.toString()) as unknown
      for (const frame of (Array.isArray(frames) ? frames : [frames]) as EntryFrame[]) {
        if (frame.type !== 'entry') continue
        this.#cursor = frame.cursor
        const { event } = frame
        // It stands for all outputs before it.
        if (event.type === 'run.snapshot') this.#next = Math.max(this.#next, event.next ?? 0)
        else if (event.type === 'run.output') this.#see(event.index ?? 0)
        else if (event.type === 'run.ended') this.#whole = event.next
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

/** Of `42["out",…,"<word>"]`. */
function lastWord(payload: Buffer): string {
  const end = payload.length - 2
  return payload.toString('latin1', payload.lastIndexOf('"', end - 1) + 1, end)
}
