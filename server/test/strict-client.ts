// StrictClient: a client written from the protocol's text that verifies everything: it records every missing, repeated
// or misordered index, and every entry before its cursor. It uses `ws` and shares only the codecs with the SDK.
import { type CodecName, codecs, type Event, makeId, type ServerFrame, SUBPROTOCOLS } from '@parley/protocol'
import WebSocket from 'ws'

/** Only the messages of clients have the limit of the protocol. */
export const MAX_DEPTH = 1_000

export class RunPicture {
  text = ''
  reasoning = ''
  next = 0
  started = 0
  ended: Extract<Event, { type: 'run.ended' }> | undefined
  /** Number of `run.ended` that this client has received. */
  ends = 0
}

type Frame<T extends ServerFrame['type']> = Extract<ServerFrame, { type: T }>

/** What a reader has received of one session, over all of its connections. */
export class SessionPicture {
  readonly runs = new Map<string, RunPicture>()
  readonly faults: string[] = []
  readonly events: Event[] = []
  cursor: string | undefined
  resets = 0

  run(id: string): RunPicture {
    const run = this.runs.get(id) ?? new RunPicture()
    this.runs.set(id, run)
    return run
  }

  reset(): void {
    this.resets += 1
    this.runs.clear()
    this.cursor = undefined
  }

  apply(frame: Frame<'entry'>): void {
    const seq = Number(frame.cursor.split('.')[1])
    if (this.cursor !== undefined && seq <= Number(this.cursor.split('.')[1])) {
      this.faults.push(`entry ${frame.cursor} came after ${this.cursor}`)
    }
    this.cursor = frame.cursor
    const { event } = frame
    this.events.push(event)
    switch (event.type) {
      case 'run.started': {
        const run = this.run(event.run)
        run.started += 1
        if (event.mode === 'restart') {
          run.text = ''
          run.reasoning = ''
        }
        if (event.next !== run.next) this.faults.push(`${event.run} starts at ${event.next}, held ${run.next}`)
        break
      }
      case 'run.output': {
        const run = this.run(event.run)
        if (event.index !== run.next) this.faults.push(`${event.run} index ${event.index}, expected ${run.next}`)
        if (run.ended !== undefined) this.faults.push(`${event.run} index ${event.index} after its end`)
        run.next = event.index + (event.count ?? 1)
        if (event.kind === 'text') run.text += event.text
        else run.reasoning += event.text
        break
      }
      case 'run.snapshot':
        this.#replace(event.run, event.output, event.next)
        break
      case 'run.ended': {
        const run = this.run(event.run)
        run.ends += 1
        if (event.output !== undefined) this.#replace(event.run, event.output, event.next)
        if (event.next !== run.next) this.faults.push(`${event.run} ended at ${event.next}, held ${run.next}`)
        run.ended = event
        break
      }
      default:
    }
  }

  #replace(id: string, output: Extract<Event, { type: 'run.snapshot' }>['output'], next: number): void {
    const run = this.run(id)
    run.text = output.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('')
    run.reasoning = output.flatMap((part) => (part.type === 'reasoning' ? [part.text] : [])).join('')
    run.next = next
  }
}

export class CommandError extends Error {
  readonly frame: Frame<'error'>
  constructor(frame: Frame<'error'>) {
    super(`${frame.code}: ${frame.message}`)
    this.frame = frame
  }
}

interface Waiter {
  resolve(frame: Frame<'ok'> | Frame<'attached'>): void
  reject(error: Error): void
}

export interface StrictOptions {
  readonly codec?: CodecName
  readonly merge?: boolean
}

export class StrictClient {
  readonly #url: string
  readonly #codec: CodecName
  readonly #merge: boolean
  readonly sessions = new Map<string, SessionPicture>()
  readonly closes: number[] = []
  welcome: Frame<'welcome'> | undefined
  #socket: WebSocket | undefined
  readonly #waiters = new Map<string, Waiter>()
  readonly #listeners = new Set<(frame: ServerFrame) => void>()

  constructor(url: string, options: StrictOptions = {}) {
    this.#url = url
    this.#codec = options.codec ?? 'json'
    this.#merge = options.merge ?? false
  }

  /** Resolves at `welcome`; rejects if the connection is refused or lost before. */
  async connect(): Promise<void> {
    const socket = new WebSocket(this.#url, SUBPROTOCOLS[this.#codec])
    this.#socket = socket
    const codec = codecs[this.#codec]
    await new Promise<void>((resolve, reject) => {
      socket.once('open', () => this.#write(socket, { type: 'hello' }))
      socket.once('error', reject)
      socket.once('close', (code) => {
        this.closes.push(code)
        for (const waiter of this.#waiters.values()) waiter.reject(new Error(`closed with ${code}`))
        this.#waiters.clear()
        reject(new Error(`closed with ${code}`))
      })
      socket.on('message', (data: Buffer, binary: boolean) => {
        if (socket !== this.#socket) return
        const decoded = codec.decode(binary ? new Uint8Array(data) : data.toString('utf8'), { maxDepth: MAX_DEPTH })
        for (const frame of Array.isArray(decoded) ? decoded : [decoded]) {
          this.#take(frame as ServerFrame)
          if ((frame as ServerFrame).type === 'welcome') resolve()
        }
      })
    })
    socket.on('error', () => socket.terminate())
  }

  session(id: string): SessionPicture {
    const picture = this.sessions.get(id) ?? new SessionPicture()
    this.sessions.set(id, picture)
    return picture
  }

  /** Resumes from the cursor of the session's picture. */
  async attach(session: string, more: Record<string, unknown> = {}): Promise<Frame<'attached'>> {
    const after = this.session(session).cursor
    const frame = {
      type: 'attach',
      id: makeId('a'),
      session,
      ...(after === undefined ? {} : { after }),
      ...(this.#merge ? { merge: true } : {}),
      ...more,
    }
    return (await this.command(frame)) as Frame<'attached'>
  }

  /** Resolves with the `ok` (or `attached`) that answers the command. @throws CommandError */
  async command(
    frame: { id: string; type: string } & Record<string, unknown>,
  ): Promise<Frame<'ok'> | Frame<'attached'>> {
    const socket = this.#socket
    if (socket === undefined || socket.readyState !== WebSocket.OPEN) throw new Error('not connected')
    return new Promise((resolve, reject) => {
      this.#waiters.set(frame.id, { resolve, reject })
      this.#write(socket, frame)
    })
  }

  async send(session: string, content: string, more: Record<string, unknown> = {}): Promise<Frame<'ok'>> {
    return (await this.command({ type: 'send', id: makeId('c'), session, content, ...more })) as Frame<'ok'>
  }

  show(session: string, state: Record<string, unknown>): void {
    if (this.#socket !== undefined) this.#write(this.#socket, { type: 'presence', session, state })
  }

  /** Calls back for every frame. @returns a function that removes the listener */
  onFrame(listener: (frame: ServerFrame) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Resolves with the first matching frame from now on. */
  async frame(matches: (frame: ServerFrame) => boolean): Promise<ServerFrame> {
    return new Promise((resolve) => {
      const stop = this.onFrame((frame) => {
        if (!matches(frame)) return
        stop()
        resolve(frame)
      })
    })
  }

  /** Resolves when the run has ended in this client's picture. */
  async ended(session: string, run: string): Promise<RunPicture> {
    const picture = this.session(session).run(run)
    if (picture.ended === undefined) {
      await this.frame((frame) => frame.type === 'entry' && frame.event.type === 'run.ended' && frame.event.run === run)
    }
    return this.session(session).run(run)
  }

  get open(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN
  }

  /** Drops the connection without a close frame. */
  drop(): void {
    const socket = this.#socket
    this.#socket = undefined
    socket?.terminate()
  }

  pause(): void {
    this.#socket?.pause()
  }

  resume(): void {
    this.#socket?.resume()
  }

  #write(socket: WebSocket, frame: unknown): void {
    socket.send(codecs[this.#codec].encode(frame))
  }

  #take(frame: ServerFrame): void {
    if (frame.type === 'welcome') this.welcome = frame
    // The reset precedes the following entries, which may be in the same message.
    if (frame.type === 'attached' && frame.reset === true) this.session(frame.session).reset()
    if (frame.type === 'entry') this.session(frame.session).apply(frame)
    if (frame.type === 'ok' || frame.type === 'attached') this.#waiters.get(frame.id)?.resolve(frame)
    else if (frame.type === 'error' && frame.id !== undefined)
      this.#waiters.get(frame.id)?.reject(new CommandError(frame))
    if ('id' in frame && frame.id !== undefined) this.#waiters.delete(frame.id)
    for (const listener of this.#listeners) listener(frame)
  }
}

/** The demo model's text for `/demo count=N`. */
export function demoCount(count: number): string {
  return Array.from({ length: count }, (_, index) => String(index)).join(' ')
}

/** A random generator with a seed, in [0, 1): the same seed repeats a test (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** The seed of a random test; `PARLEY_TEST_SEED` repeats one. */
export const TEST_SEED = Number(process.env.PARLEY_TEST_SEED ?? Date.now() % 1_000_000)
