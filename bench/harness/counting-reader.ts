// CountingReader: reads one session in which the demo model counts. It checks every index and every byte, and keeps its
// cursor for reconnects, so that benchmarks of failures also prove that no token is lost.
import type { Event, ServerFrame } from '@parley/protocol'
import { RawClient } from './raw-client.ts'

export interface CountingReaderPorts {
  /** A token arrived. */
  readonly token?: (reader: CountingReader) => void
  /** Another node drives the run now. */
  readonly takenOver?: (reader: CountingReader) => void
  readonly ended?: (reader: CountingReader) => void
  /** The connection was lost; not called after `close`. */
  readonly closed?: (reader: CountingReader) => void
}

export class CountingReader {
  readonly session: string
  /** Descriptions of all faults. */
  readonly problems: string[] = []
  /** How often the server reported that its log was unavailable. */
  unavailable = 0
  /** The number of outputs received. */
  next = 0
  /** The attempt of the run. */
  epoch = 0
  reason: string | undefined
  readonly #ports: CountingReaderPorts
  #client: RawClient | undefined
  #cursor: string | undefined
  #text = ''
  #live: (() => void) | undefined
  #acknowledged: (() => void) | undefined

  constructor(session: string, ports: CountingReaderPorts = {}) {
    this.session = session
    this.#ports = ports
  }

  /** Connects and resumes from its cursor. Resolves when the session is live; rejects if the connection fails first. */
  async connect(port: number): Promise<void> {
    let mine: RawClient | undefined
    let failed: (error: Error) => void = () => undefined
    const lost = new Promise<never>((_, reject) => {
      failed = reject
    })
    // Nobody may be waiting for it yet.
    lost.catch(() => undefined)
    const closed = (): void => {
      failed(new Error('the connection closed before the session was live'))
      if (this.#client !== mine || mine === undefined) return
      this.#client = undefined
      this.#ports.closed?.(this)
    }
    const client = await RawClient.open(port, '/v1/ws', (payload) => this.#take(payload), closed)
    mine = client
    this.#client = client
    const live = new Promise<void>((resolve) => {
      this.#live = resolve
    })
    client.send({ type: 'hello' })
    const after = this.#cursor === undefined ? {} : { after: this.#cursor }
    client.send({ type: 'attach', id: 'attach', session: this.session, ...after })
    await Promise.race([live, lost])
  }

  /** Sends a message; resolves when the server has acknowledged it. */
  async ask(count: number, rate: number): Promise<void> {
    const asked = new Promise<void>((resolve) => {
      this.#acknowledged = resolve
    })
    const content = `/demo count=${count} rate=${rate} ttft=0`
    this.#client?.send({ type: 'send', id: `c_${this.session}`, session: this.session, content })
    await asked
  }

  close(): void {
    const client = this.#client
    this.#client = undefined
    client?.close()
  }

  /** @returns a description of the first fault; undefined if the answer is complete */
  verdict(count: number): string | undefined {
    const [problem] = this.problems
    if (problem !== undefined) return `${this.session}: ${problem}`
    if (this.reason !== 'completed') return `${this.session}: the run has not completed (${this.reason ?? 'open'})`
    const expected = Array.from({ length: count }, (_, index) => String(index)).join(' ')
    return this.#text === expected ? undefined : `${this.session}: ends with …${this.#text.slice(-20)}`
  }

  #take(payload: Buffer): void {
    const decoded = JSON.parse(payload.toString()) as ServerFrame | ServerFrame[]
    for (const frame of Array.isArray(decoded) ? decoded : [decoded]) {
      if (frame.type === 'entry') {
        this.#cursor = frame.cursor
        this.#apply(frame.event)
      } else if (frame.type === 'live') this.#live?.()
      else if (frame.type === 'ok') this.#acknowledged?.()
      else if (frame.type === 'error' && frame.id === undefined && frame.code === 'unavailable') this.unavailable += 1
      else if (frame.type === 'error') this.problems.push(`${frame.code}: ${frame.message}`)
      else if (frame.type === 'attached' && frame.reset === true) this.problems.push('was reset')
    }
  }

  #apply(event: Event): void {
    switch (event.type) {
      case 'run.output':
        if (event.index !== this.next) this.problems.push(`index ${event.index} instead of ${this.next}`)
        this.next = event.index + 1
        this.#text += event.text
        this.#ports.token?.(this)
        break
      case 'run.started':
        if (event.epoch <= this.epoch) this.problems.push(`attempt ${event.epoch} after ${this.epoch}`)
        this.epoch = event.epoch
        if (event.epoch > 1) this.#ports.takenOver?.(this)
        break
      case 'run.snapshot':
      case 'run.ended':
        if (event.output !== undefined) {
          this.#text = event.output.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('')
        } else if (event.next !== this.next) this.problems.push(`ends at ${event.next} instead of ${this.next}`)
        this.next = event.next
        if (event.type === 'run.snapshot') break
        this.reason = event.reason
        this.#ports.ended?.(this)
        break
      default:
    }
  }
}
