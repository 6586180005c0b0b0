// WebSocketDriver: one connection for the user's session, open between questions. It reconnects with its cursor, and
// sends unanswered commands again with the same ids.
import type { ClientFrame, EntryFrame, ServerFrame } from '@parley/protocol'
import { WebSocket } from 'ws'
import { type AskRequest, type DriverContext, type DriverUser, pauseOf, Refused } from './driver.ts'

interface Asking {
  readonly request: AskRequest
  run: string | undefined
  interrupted: boolean
  readonly done: () => void
  readonly failed: (error: Error) => void
}

export class WebSocketDriver implements DriverUser {
  readonly #context: DriverContext
  readonly #asking = new Map<string, Asking>()
  /** Commands without an answer, in order. */
  readonly #unanswered = new Map<string, ClientFrame>()
  #arrived: (() => void) | undefined
  #socket: WebSocket | undefined
  #cursor: string | undefined
  #attached = false
  #attempt = 0
  #attaches = 0
  #closed = false
  #timer: NodeJS.Timeout | undefined
  #heardAt = 0

  constructor(context: DriverContext) {
    this.#context = context
  }

  arrive(): Promise<void> {
    return new Promise((resolve) => {
      this.#arrived = resolve
      this.#connect()
    })
  }

  ask(request: AskRequest): Promise<void> {
    const { session, model } = this.#context
    const { id, content } = request
    return new Promise((done, failed) => {
      const asking: Asking = { request, run: undefined, interrupted: !this.#attached, done, failed }
      this.#asking.set(id, asking)
      this.#command({ type: 'send', id, session, content, ...(model === undefined ? {} : { model }) })
      request.gaveUp.addEventListener('abort', () => this.#cancel(asking), { once: true })
    })
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#socket?.terminate()
    for (const { failed } of this.#asking.values()) failed(new Refused('closed'))
    this.#asking.clear()
  }

  #connect(): void {
    if (this.#closed) return
    const { url, token, meter, silenceMs } = this.#context
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/v1/ws`, ['parley.v1.json'], {
      handshakeTimeout: silenceMs,
      perMessageDeflate: false,
      ...(token === undefined ? {} : { headers: { Authorization: `Bearer ${token}` } }),
    })
    this.#socket = socket
    const heard = () => {
      this.#heardAt = performance.now()
    }
    socket.on('upgrade', (response) => meter.watch(response.socket))
    socket.on('open', () => {
      heard()
      this.#say({ type: 'hello', client: { name: 'parley-loadtest', version: '1' } })
      this.#attaches += 1
      const { session } = this.#context
      const after = this.#cursor === undefined ? {} : { after: this.#cursor }
      this.#say({ type: 'attach', id: `attach-${this.#attaches}`, session, ...after })
      for (const frame of this.#unanswered.values()) this.#say(frame)
      this.#watchSilence(socket)
    })
    socket.on('ping', heard)
    socket.on('message', (data) => {
      heard()
      const frames = JSON.parse(data.toString()) as ServerFrame | ServerFrame[]
      if (Array.isArray(frames)) for (const frame of frames) this.#frame(frame)
      else this.#frame(frames)
    })
    // `close` follows every error.
    socket.on('error', () => undefined)
    socket.on('close', (code) => this.#lost(socket, code))
  }

  #lost(socket: WebSocket, code: number): void {
    if (socket !== this.#socket || this.#closed) return
    this.#attached = false
    clearTimeout(this.#timer)
    for (const asking of this.#asking.values()) {
      if (!asking.interrupted) asking.request.watch.interrupted()
      asking.interrupted = true
    }
    if (code >= 4400 && code < 4500) {
      for (const { failed } of this.#asking.values()) failed(new Refused(`close ${code}`))
      this.#asking.clear()
      return
    }
    this.#timer = setTimeout(() => this.#connect(), pauseOf(this.#attempt, this.#context.random))
    this.#attempt += 1
  }

  /** Pings after half of the silence limit; any frame proves that the connection is alive. */
  #watchSilence(socket: WebSocket): void {
    const { silenceMs } = this.#context
    const silent = performance.now() - this.#heardAt
    if (silent >= silenceMs) return socket.terminate()
    if (silent >= silenceMs / 2) this.#say({ type: 'ping' })
    this.#timer = setTimeout(() => this.#watchSilence(socket), silenceMs / 4)
  }

  #frame(frame: ServerFrame): void {
    if (frame.type === 'entry') this.#entry(frame)
    else if (frame.type === 'attached') this.#onAttached(frame.reset === true)
    else if (frame.type === 'ok') this.#unanswered.delete(frame.id)
    else if (frame.type === 'error' && frame.id !== undefined) this.#refused(frame)
    else if (frame.type === 'goaway') this.#socket?.close()
  }

  #onAttached(reset: boolean): void {
    this.#attached = true
    this.#attempt = 0
    for (const asking of this.#asking.values()) {
      if (reset) {
        asking.request.watch.reset()
        asking.request.verifier.reset()
      }
      if (asking.interrupted) asking.request.watch.resumed()
      asking.interrupted = false
    }
    this.#arrived?.()
    this.#arrived = undefined
  }

  #entry({ cursor, event }: EntryFrame): void {
    this.#cursor = cursor
    if (event.type === 'message') {
      const mine = this.#asking.get(event.id)
      if (mine !== undefined) {
        mine.run = event.run
        // The user gave up before the run was known.
        if (mine.request.gaveUp.aborted) this.#cancel(mine)
      }
    }
    if (!('run' in event)) return
    for (const [id, asking] of this.#asking) {
      if (asking.run !== event.run) continue
      const { verifier, watch } = asking.request
      const outputs = verifier.take(cursor, event)
      if (outputs > 0) watch.outputs(outputs)
      if (event.type === 'run.ended') {
        this.#asking.delete(id)
        this.#unanswered.delete(id)
        asking.done()
      }
    }
  }

  #cancel(asking: Asking): void {
    const { id } = asking.request
    if (this.#asking.get(id) !== asking || asking.run === undefined) return
    const { session } = this.#context
    this.#command({ type: 'cancel', id: `${id}-cancel`, session, run: asking.run })
  }

  #refused(frame: Extract<ServerFrame, { type: 'error' }>): void {
    const id = frame.id ?? ''
    const command = this.#unanswered.get(id)
    if (frame.retryable) {
      const wait = Math.max(frame.retryAfterMs ?? 0, pauseOf(1, this.#context.random))
      if (command !== undefined) setTimeout(() => this.#unanswered.has(id) && this.#say(command), wait).unref()
      else if (id.startsWith('attach-')) setTimeout(() => this.#socket?.terminate(), wait).unref()
      return
    }
    this.#unanswered.delete(id)
    const asking = this.#asking.get(id)
    this.#asking.delete(id)
    asking?.failed(new Refused(frame.code))
  }

  #command(frame: ClientFrame & { readonly id: string }): void {
    this.#unanswered.set(frame.id, frame)
    // If the connection is not open, #connect sends it later. Otherwise it follows the attach, answered or not.
    this.#say(frame)
  }

  #say(frame: ClientFrame): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame))
  }
}
