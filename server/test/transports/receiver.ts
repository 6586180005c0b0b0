// Receiver: everything that a client has received of a session over a series of transports, and the checks on it.
import { expect } from 'vitest'
import { RunPicture, SessionPicture } from '../strict-client.ts'
import type { FinalResult, Item, Reading } from './transport-driver.ts'

/** The outcome of an ended run. */
export interface RunOutcome {
  readonly state: string | undefined
  readonly text: string
  /** The index after the last output; undefined if the transport has no indexes. */
  readonly next: number | undefined
}

const NOTHING: RunPicture = new RunPicture()

export class Receiver {
  readonly picture = new SessionPicture()
  readonly #entries: Item[] = []
  #streamedText = ''
  #result: FinalResult | undefined
  #run = ''
  /** Message id → the run that answers it. */
  readonly #runs = new Map<string, string>()

  get entries(): number {
    return this.#entries.length
  }

  get cursor(): string | undefined {
    return this.picture.cursor
  }

  /** The run of the first received message. */
  get run(): string {
    return this.#run
  }

  get hasEnd(): boolean {
    return this.#result !== undefined || this.#picture.ended !== undefined
  }

  get state(): string | undefined {
    return this.#result?.state ?? this.#picture.ended?.reason
  }

  get text(): string {
    return this.#result?.text ?? (this.#picture.text || this.#streamedText)
  }

  get outcome(): RunOutcome {
    return { state: this.state, text: this.text, next: this.#picture.ended?.next }
  }

  get #picture(): RunPicture {
    return this.picture.runs.get(this.#run) ?? NOTHING
  }

  /** The run of the message with this id, if it has ended. */
  endOf(message: string): RunPicture | undefined {
    const run = this.picture.runs.get(this.#runs.get(message) ?? '')
    return run?.ended === undefined ? undefined : run
  }

  take(item: Item): void {
    if (item.kind === 'reset') this.picture.reset()
    else if (item.kind === 'text') this.#streamedText = item.text
    else if (item.kind === 'result') this.#result = item.result
    else {
      this.#entries.push(item)
      const { event } = item.entry
      if (event.type === 'message') {
        this.#runs.set(event.id, event.run)
        if (this.#run === '') this.#run = event.run
      }
      this.picture.apply(item.entry)
      this.#result = item.result ?? this.#result
    }
  }

  /** Reads until the condition holds, or the transport ends. */
  async read(reading: Reading, isEnough: () => boolean): Promise<void> {
    while (!isEnough()) {
      const item = await reading.next()
      if (item === undefined) return
      this.take(item)
    }
  }

  /** Reads to the end of the run, and disconnects. */
  async finish(reading: Reading): Promise<void> {
    await this.read(reading, () => this.hasEnd)
    reading.stop()
  }

  /** A new receiver with only the first entries. */
  upTo(entries: number): Receiver {
    const receiver = new Receiver()
    for (const item of this.#entries.slice(0, entries)) receiver.take(item)
    return receiver
  }

  /** Checks that the run has completed, and that its complete text was received once and in order. */
  expectText(text: string): void {
    expect(this.picture.faults).toEqual([])
    expect([this.state, this.text]).toEqual(['completed', text])
    expect(text.startsWith(this.#streamedText)).toBe(true)
    // The complete result and the entries must agree.
    if (this.#result !== undefined && this.picture.runs.get(this.#run)?.ended !== undefined) {
      expect(this.#picture.text).toBe(text)
    }
  }
}
