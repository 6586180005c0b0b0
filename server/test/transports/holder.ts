// Holder: what somebody holds of a session who reads it through one door after another, and what must be true of it.
import { expect } from 'vitest'
import { RunPicture, SessionPicture } from '../strict-client.ts'
import type { Item, Reading, Whole } from './transport.ts'

/** Of a run that is over. */
export interface Told {
  readonly state: string | undefined
  readonly text: string
  /** Indexes that it used; undefined where the door does not count them. */
  readonly next: number | undefined
}

const NOTHING: RunPicture = new RunPicture()

export class Holder {
  readonly picture = new SessionPicture()
  readonly #entries: Item[] = []
  #pieces = ''
  #whole: Whole | undefined
  #run = ''
  /** The messages' ids, and the runs that answer them. */
  readonly #runs = new Map<string, string>()

  get entries(): number {
    return this.#entries.length
  }

  get cursor(): string | undefined {
    return this.picture.cursor
  }

  /** The run of the first message that came. */
  get run(): string {
    return this.#run
  }

  get hasEnd(): boolean {
    return this.#whole !== undefined || this.#held.ended !== undefined
  }

  get state(): string | undefined {
    return this.#whole?.state ?? this.#held.ended?.reason
  }

  get text(): string {
    return this.#whole?.text ?? (this.#held.text || this.#pieces)
  }

  get told(): Told {
    return { state: this.state, text: this.text, next: this.#held.ended?.next }
  }

  get #held(): RunPicture {
    return this.picture.runs.get(this.#run) ?? NOTHING
  }

  /** The run of the message with this id, when it is over. */
  endOf(message: string): RunPicture | undefined {
    const run = this.picture.runs.get(this.#runs.get(message) ?? '')
    return run?.ended === undefined ? undefined : run
  }

  take(item: Item): void {
    if (item.kind === 'reset') this.picture.reset()
    else if (item.kind === 'piece') this.#pieces = item.text
    else if (item.kind === 'whole') this.#whole = item.whole
    else {
      this.#entries.push(item)
      const { event } = item.entry
      if (event.type === 'message') {
        this.#runs.set(event.id, event.run)
        if (this.#run === '') this.#run = event.run
      }
      this.picture.apply(item.entry)
      this.#whole = item.whole ?? this.#whole
    }
  }

  /** Reads until it is enough, or nothing more can come. */
  async read(reading: Reading, isEnough: () => boolean): Promise<void> {
    while (!isEnough()) {
      const item = await reading.next()
      if (item === undefined) return
      this.take(item)
    }
  }

  /** Reads to the end of the run, and leaves. */
  async finish(reading: Reading): Promise<void> {
    await this.read(reading, () => this.hasEnd)
    reading.stop()
  }

  /** Another who holds the first entries of these. */
  upTo(entries: number): Holder {
    const holder = new Holder()
    for (const item of this.#entries.slice(0, entries)) holder.take(item)
    return holder
  }

  /** The run is over, was completed, and all of it came, once and in order. */
  expectText(text: string): void {
    expect(this.picture.faults).toEqual([])
    expect([this.state, this.text]).toEqual(['completed', text])
    expect(text.startsWith(this.#pieces)).toBe(true)
    // Where both came, both say the same.
    if (this.#whole !== undefined && this.picture.runs.get(this.#run)?.ended !== undefined) {
      expect(this.#held.text).toBe(text)
    }
  }
}
