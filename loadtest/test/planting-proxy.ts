// PlantingProxy: a proxy that parses the server's messages and damages one output: it drops it, repeats it, or swaps it
// with the next one. It understands all forms of outputs: WebSocket frames, SSE, NDJSON, pages, and results.
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { EntryFrame, OutputPart, ServerFrame } from '@parley/protocol'
import { WebSocket, WebSocketServer } from 'ws'

export type Plant = 'drop' | 'repeat' | 'swap'

export class PlantingProxy {
  /** The number of outputs that passed, and of planted faults. */
  outputs = 0
  planted = 0
  readonly #target: URL
  readonly #plant: Plant
  readonly #every: number
  /** The number of the damaged output. */
  #damaged = 0
  readonly #server: Server
  readonly #sockets: WebSocketServer

  private constructor(target: string, plant: Plant, every: number) {
    this.#target = new URL(target)
    this.#plant = plant
    this.#every = every
    this.#server = createServer((incoming, answer) => this.#http(incoming, answer))
    this.#sockets = new WebSocketServer({ server: this.#server, handleProtocols: () => 'parley.v1.json' })
    this.#sockets.on('connection', (near) => this.#webSocket(near))
  }

  /** @param every the proxy damages the first output from this number on */
  static async start(target: string, plant: Plant, every: number): Promise<PlantingProxy> {
    const proxy = new PlantingProxy(target, plant, every)
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    for (const client of this.#sockets.clients) client.terminate()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #webSocket(near: WebSocket): void {
    const far = new WebSocket(`ws://${this.#target.host}/v1/ws`, ['parley.v1.json'])
    const early: string[] = []
    const sequence = new FrameSequence(this)
    near.on('message', (data) =>
      far.readyState === WebSocket.OPEN ? far.send(data.toString()) : early.push(data.toString()),
    )
    far.on('open', () => {
      for (const text of early) far.send(text)
    })
    far.on('message', (data) => {
      const received = JSON.parse(data.toString()) as ServerFrame | ServerFrame[]
      const frames = (Array.isArray(received) ? received : [received]).flatMap((frame) => sequence.pass(frame))
      if (frames.length > 0) near.send(JSON.stringify(frames))
    })
    near.on('close', () => far.terminate())
    far.on('close', () => near.terminate())
    far.on('error', () => near.terminate())
  }

  #http(incoming: IncomingMessage, answer: ServerResponse): void {
    const { host, port } = { host: this.#target.hostname, port: this.#target.port }
    const { url: path, method, headers } = incoming
    const outgoing = request({ host, port, path, method, headers }, (message) => {
      const { 'content-length': _, 'transfer-encoding': __, ...kept } = message.headers
      answer.writeHead(message.statusCode ?? 502, kept)
      this.#pass(message, answer).catch(() => answer.destroy())
    })
    outgoing.on('error', () => answer.destroy())
    answer.on('close', () => outgoing.destroy())
    incoming.pipe(outgoing)
  }

  async #pass(message: IncomingMessage, answer: ServerResponse): Promise<void> {
    const type = message.headers['content-type'] ?? ''
    const sequence = new FrameSequence(this)
    const end = type.startsWith('text/event-stream')
      ? '\n\n'
      : type.startsWith('application/x-ndjson')
        ? '\n'
        : undefined
    let rest = ''
    message.setEncoding('utf8')
    for await (const chunk of message) {
      rest += chunk as string
      if (end === undefined) continue
      const pieces = rest.split(end)
      rest = pieces.pop() ?? ''
      for (const piece of pieces) {
        const json = /^data: ?(.*)$/m.exec(piece)?.[1] ?? (end === '\n' ? piece : '')
        if (json.trim() === '') answer.write(piece + end)
        else
          for (const frame of sequence.pass(JSON.parse(json) as ServerFrame)) {
            const text = JSON.stringify(frame)
            answer.write(end === '\n' ? `${text}\n` : `${idOf(frame)}data: ${text}\n\n`)
          }
      }
    }
    answer.end(end === undefined && type.includes('json') && rest !== '' ? this.#page(JSON.parse(rest)) : rest)
  }

  #page(body: { entries?: EntryFrame[]; output?: OutputPart[]; text?: string }): string {
    const sequence = new FrameSequence(this)
    if (Array.isArray(body.entries))
      body.entries = body.entries.flatMap((frame) => sequence.pass(frame)) as EntryFrame[]
    if (body.output === undefined) return JSON.stringify(body)
    const output = this.damageParts(body.output)
    const text = output.map((part) => ('text' in part ? part.text : '')).join('')
    return JSON.stringify({ ...body, output, text })
  }

  /** Damages outputs inside a compacted run. */
  damageParts(output: readonly OutputPart[]): OutputPart[] {
    return output.map((part) => {
      if (!('lengths' in part)) return part
      let from = 0
      const texts = part.lengths.map((length) => {
        from += length
        return part.text.slice(from - length, from)
      })
      const damaged = this.damage(texts)
      return { ...part, text: damaged.join(''), lengths: damaged.map(({ length }) => length) }
    })
  }

  /** Damages the texts that are due. */
  damage(texts: readonly string[]): string[] {
    const damaged = [...texts]
    let shift = 0
    for (const at of texts.keys()) {
      if (!this.due(at === texts.length - 1)) continue
      const place = at + shift
      const text = damaged[place] ?? ''
      if (this.#plant === 'drop') damaged.splice(place, 1)
      else if (this.#plant === 'repeat') damaged.splice(place, 0, text)
      else damaged.splice(place, 2, damaged[place + 1] ?? '', text)
      shift += this.#plant === 'drop' ? -1 : this.#plant === 'repeat' ? 1 : 0
    }
    return damaged
  }

  get plant(): Plant {
    return this.#plant
  }

  /** Counts an output. @param last no output follows, so it cannot be swapped. @returns whether to damage it */
  due(last = false): boolean {
    this.outputs += 1
    if (this.planted > 0 || this.outputs < this.#every || (last && this.#plant === 'swap')) return false
    this.planted += 1
    this.#damaged = this.outputs
    return true
  }

  /** The whole output follows: a reader cannot notice that the output directly before it was dropped, so this was no fault. */
  replaced(): void {
    if (this.#plant === 'drop' && this.#damaged === this.outputs) this.planted = 0
  }
}

/** The frames of one stream, in order. */
class FrameSequence {
  readonly #proxy: PlantingProxy
  /** A frame that is sent after the next one. */
  #held: ServerFrame | undefined

  constructor(proxy: PlantingProxy) {
    this.#proxy = proxy
  }

  pass(frame: ServerFrame): ServerFrame[] {
    if (frame.type !== 'entry') return this.#withHeld(frame)
    const { event } = frame
    if ((event.type === 'run.ended' || event.type === 'run.snapshot') && event.output !== undefined) {
      this.#proxy.replaced()
      return this.#withHeld({ ...frame, event: { ...event, output: this.#proxy.damageParts(event.output) } })
    }
    if (event.type !== 'run.output') return this.#withHeld(frame)
    if (event.count !== undefined) return this.#withHeld(this.#within(frame))
    if (this.#held !== undefined) return this.#withHeld(frame)
    if (!this.#proxy.due()) return [frame]
    if (this.#proxy.plant === 'drop') return []
    if (this.#proxy.plant === 'repeat') return [frame, frame]
    this.#held = frame
    return []
  }

  #withHeld(frame: ServerFrame): ServerFrame[] {
    const held = this.#held
    this.#held = undefined
    return held === undefined ? [frame] : [frame, held]
  }

  /** Damages a merged output: each word counts as an output. */
  #within(frame: EntryFrame): EntryFrame {
    if (frame.event.type !== 'run.output') return frame
    const damaged = this.#proxy.damage(frame.event.text.split(/(?= )/))
    return { ...frame, event: { ...frame.event, text: damaged.join('') } }
  }
}

function idOf(frame: ServerFrame): string {
  return frame.type === 'entry' ? `id: ${frame.cursor}\nevent: ${frame.event.type}\n` : `event: ${frame.type}\n`
}
