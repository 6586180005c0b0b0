// TestClient: a minimal WebSocket client for tests. It records all received frames in order, and lets a test wait for one.
import {
  type ClientFrame,
  type CodecName,
  codecs,
  type EntryFrame,
  type ServerFrame,
  SUBPROTOCOLS,
} from '@parley/protocol'
import { WebSocket } from 'ws'

export interface TestClientOptions {
  readonly codec?: CodecName
  /** Overrides the subprotocol of the codec. */
  readonly protocols?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
}

export interface Closed {
  readonly code: number
  readonly reason: string
}

type FrameOf<T extends ServerFrame['type']> = Extract<ServerFrame, { type: T }>

export class TestClient {
  readonly socket: WebSocket
  readonly frames: ServerFrame[] = []
  /** Number of WebSocket messages; each contains one or more frames. */
  messages = 0
  /** Rejects with UpgradeRefused if the upgrade is refused. */
  readonly opened: Promise<void>
  readonly closed: Promise<Closed>
  readonly #codec: CodecName
  readonly #waiting = new Set<{ check(): boolean; reject(error: Error): void }>()
  #consumed = 0

  constructor(url: string, options: TestClientOptions = {}) {
    this.#codec = options.codec ?? 'json'
    const protocols = options.protocols ?? (options.codec === undefined ? [] : [SUBPROTOCOLS[options.codec]])
    this.socket = new WebSocket(url, [...protocols], {
      headers: { ...options.headers },
      perMessageDeflate: false,
      skipUTF8Validation: true,
    })
    this.opened = new Promise((resolve, reject) => {
      this.socket.once('open', () => resolve())
      this.socket.once('unexpected-response', (_request, response) => {
        response.resume()
        reject(new UpgradeRefused(response.statusCode ?? 0))
        this.socket.terminate()
      })
      this.socket.on('error', reject)
    })
    this.opened.catch(() => undefined)
    this.closed = new Promise((resolve) => {
      this.socket.once('close', (code, reason) => {
        resolve({ code, reason: reason.toString() })
        for (const { reject } of this.#waiting) reject(new Error(`closed while waiting: ${code} ${reason}`))
      })
    })
    this.socket.on('message', (data: Buffer) => this.#receive(data))
  }

  send(...frames: ClientFrame[]): void {
    this.raw(codecs[this.#codec].encode(frames.length === 1 ? frames[0] : frames))
  }

  /** Sends raw data; a string as text. */
  raw(data: string | Uint8Array): void {
    this.socket.send(data)
  }

  /** Sends an invalid frame in the connection's codec. */
  sendInvalid(value: unknown): void {
    this.raw(codecs[this.#codec].encode(value))
  }

  /** The next frame with this type (and id) after the one that the last call returned; skips others. */
  async next<T extends ServerFrame['type']>(type: T, id?: string): Promise<FrameOf<T>> {
    return this.#until(() => {
      for (let index = this.#consumed; index < this.frames.length; index += 1) {
        const frame = this.frames[index] as ServerFrame
        if (frame.type !== type || (id !== undefined && 'id' in frame && frame.id !== id)) continue
        this.#consumed = index + 1
        return frame as FrameOf<T>
      }
      return undefined
    })
  }

  /** Resolves when the condition is true. It is checked after each message. */
  async when(condition: () => boolean): Promise<void> {
    await this.#until(() => (condition() ? true : undefined))
  }

  entries(session?: string): EntryFrame[] {
    return this.frames.filter(
      (frame): frame is EntryFrame => frame.type === 'entry' && (session === undefined || frame.session === session),
    )
  }

  /** Indexes of the received outputs, with duplicates; merged outputs are expanded. */
  indexes(session: string, run?: string): number[] {
    return this.entries(session).flatMap(({ event }) => {
      if (event.type !== 'run.output' || (run !== undefined && event.run !== run)) return []
      return Array.from({ length: event.count ?? 1 }, (_, offset) => event.index + offset)
    })
  }

  text(session: string): string {
    return this.entries(session)
      .map(({ event }) => (event.type === 'run.output' ? event.text : ''))
      .join('')
  }

  /** Stops reading from the socket. */
  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  destroy(): void {
    this.socket.terminate()
  }

  async #until<T>(pick: () => T | undefined): Promise<T> {
    const now = pick()
    if (now !== undefined) return now
    return new Promise<T>((resolve, reject) => {
      this.#waiting.add({
        check() {
          const found = pick()
          if (found !== undefined) resolve(found)
          return found !== undefined
        },
        reject,
      })
    })
  }

  #receive(data: Buffer): void {
    const value = codecs[this.#codec].decode(data)
    this.messages += 1
    for (const frame of Array.isArray(value) ? value : [value]) this.frames.push(frame as ServerFrame)
    for (const waiter of this.#waiting) if (waiter.check()) this.#waiting.delete(waiter)
  }
}

export class UpgradeRefused extends Error {
  readonly status: number

  constructor(status: number) {
    super(`The upgrade was refused with ${status}.`)
    this.status = status
  }
}
