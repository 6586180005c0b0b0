// StreamVerifier: checks the entries that one reader receives of one run. It implements PROTOCOL.md without code of the
// SDK. A fault stays a fault, even if a later entry repairs it, because the reader has seen it.
//
//   index = next: accepted · index > next: the outputs in between are missing
//   index < next: reordered if it was missing, else repeated
//   text that does not continue the known text: wrong · an end before all indexes, or all of the text: lost
import type { Event, OutputPart, RunOutput } from '@parley/protocol'

export interface Faults {
  lost: number
  repeated: number
  reordered: number
  wrong: number
}

export const NO_FAULTS: Readonly<Faults> = { lost: 0, repeated: 0, reordered: 0, wrong: 0 }

export interface End {
  readonly reason: string
  readonly next: number
}

export class StreamVerifier {
  readonly faults: Faults = { ...NO_FAULTS }
  readonly #known: string | undefined
  readonly #missing = new Set<number>()
  /** Text outputs by index, without reasoning. */
  readonly #texts: string[] = []
  #next = 0
  /** The matched length of the known text. One output may hold any number of the model's tokens. */
  #offset = 0
  /** The text was not continuous: the next output is searched for in the rest of the known text. */
  #astray = false
  #number = -1
  #end: End | undefined

  /** @param known the complete text; if undefined, only indexes and the later `transcript` are checked */
  constructor(known: string | undefined) {
    this.#known = known
  }

  /** The number of outputs that arrived. */
  get outputs(): number {
    return this.#next - this.#missing.size
  }

  get end(): End | undefined {
    return this.#end
  }

  get text(): string {
    return this.#texts.join('')
  }

  /** @returns the number of new outputs in this entry */
  take(cursor: string, event: Event): number {
    const before = this.outputs
    const number = Number(cursor.slice(cursor.lastIndexOf('.') + 1))
    if (number > this.#number) this.#number = number
    else if (event.type !== 'run.output') this.faults[number === this.#number ? 'repeated' : 'reordered'] += 1
    if (event.type === 'run.started' && event.mode === 'restart') this.#restarted(event.next)
    else if (event.type === 'run.output') this.#output(event.index, event.kind, event.text, event.count ?? 1)
    else if (event.type === 'run.snapshot') this.#whole(event.output, event.next)
    else if (event.type === 'run.ended') this.#ended(event)
    return Math.max(0, this.outputs - before)
  }

  /** Checks a complete answer, as request–response delivers it. */
  takeResult(reason: string, output: readonly OutputPart[], text: string): number {
    const before = this.outputs
    const next = output.reduce((most, part) => Math.max(most, endOf(part)), 0)
    this.#whole(output, next)
    if (text !== this.text) this.faults.wrong += 1
    this.#over({ reason, next })
    return Math.max(0, this.outputs - before)
  }

  /** Compares with the session's transcript, if the text was not known in advance. */
  transcript(text: string): void {
    if (text !== this.text) this.faults.wrong += 1
  }

  /** The server reset the reader, which discards what it has. */
  reset(): void {
    this.#number = -1
    this.#end = undefined
    this.#drop(0)
  }

  #restarted(next: number): void {
    if (next < this.#next) this.faults.repeated += this.#next - next
    this.#drop(next)
  }

  #drop(next: number): void {
    this.#missing.clear()
    this.#texts.length = 0
    this.#next = next
    this.#offset = 0
    this.#astray = false
  }

  #output(index: number, kind: RunOutput['kind'], text: string, count: number): void {
    if (this.#end !== undefined && index >= this.#end.next) this.faults.wrong += 1
    for (let at = index; at < Math.min(index + count, this.#next); at += 1) {
      // An output that was missing arrived late, so it was not lost.
      const late = this.#missing.delete(at)
      if (late) this.faults.lost -= 1
      this.faults[late ? 'reordered' : 'repeated'] += 1
    }
    const isNew = index >= this.#next
    for (let at = this.#next; at < index; at += 1) {
      this.#missing.add(at)
      this.faults.lost += 1
      this.#astray = true
    }
    this.#next = Math.max(this.#next, index + count)
    if (kind !== 'text') return
    this.#texts[index] = text
    if (isNew) this.#follow(text)
    else if (this.#known?.includes(text) === false) this.faults.wrong += 1
  }

  #follow(text: string): void {
    if (this.#known === undefined) return
    const at = this.#astray ? this.#known.indexOf(text, this.#offset) : this.#offset
    this.#astray = false
    if (at >= 0 && this.#known.startsWith(text, at)) this.#offset = at + text.length
    else {
      this.faults.wrong += 1
      this.#astray = true
    }
  }

  /** Replaces all outputs. */
  #whole(output: readonly OutputPart[], next: number): void {
    let expected: number | undefined
    this.#drop(0)
    for (const part of output) {
      if (!('lengths' in part)) continue
      // The indexes of a restarted run continue, so they begin with its first part.
      expected ??= part.index
      if (part.index > expected) this.faults.lost += part.index - expected
      if (part.index < expected) this.faults.repeated += expected - part.index
      let from = 0
      for (const [offset, length] of part.lengths.entries()) {
        const text = part.text.slice(from, from + length)
        from += length
        if (part.type !== 'text') continue
        this.#texts[part.index + offset] = text
        this.#follow(text)
      }
      if (from !== part.text.length) this.faults.wrong += 1
      expected = endOf(part)
    }
    if ((expected ?? 0) < next) this.faults.lost += next - (expected ?? 0)
    this.#next = next
  }

  #ended(event: Extract<Event, { type: 'run.ended' }>): void {
    if (event.output !== undefined) this.#whole(event.output, event.next)
    if (event.next > this.#next) this.faults.lost += event.next - this.#next
    if (event.next < this.#next) this.faults.wrong += 1
    this.#over(event)
  }

  #over({ reason, next }: End): void {
    if (this.#end !== undefined && this.#end.next !== next) this.faults.wrong += 1
    this.#end = { reason, next }
    // A completed run contains the complete text. Do not count a second fault if one is known.
    const short = this.#known !== undefined && this.#offset < this.#known.length
    if (reason === 'completed' && short && !anyFault(this.faults)) this.faults.lost += 1
  }
}

export function addFaults(to: Faults, from: Readonly<Faults>): void {
  to.lost += from.lost
  to.repeated += from.repeated
  to.reordered += from.reordered
  to.wrong += from.wrong
}

export function anyFault(faults: Readonly<Faults>): boolean {
  return faults.lost + faults.repeated + faults.reordered + faults.wrong > 0
}

function endOf(part: OutputPart): number {
  return 'lengths' in part ? part.index + part.lengths.length : 0
}
