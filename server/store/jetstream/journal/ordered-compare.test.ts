// Entries that race with ends, new drivers, deletions, and repeated records: all readers accept the same ones,
// wherever they begin, and what the stream's compare cannot see is decided as strictly as a compare would.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Seq } from '../../ports/entry.ts'
import { type Compared, type Journaled, OrderedCompare } from './ordered-compare.ts'

const RUN = 'run.a'
const META = 'meta'

describe('an ordered compare', () => {
  it('accepts entries behind their base, in order and once', () => {
    const reader = new OrderedCompare()
    reader.compared({ seq: 5, subject: RUN, kind: 'open' })
    expect(verdicts(reader, [at(6, 5, 0), at(7, 5, 1), at(8, 5, 1), at(9, 5, 3), at(10, 5, 2)])).toEqual([
      'accepted',
      'accepted',
      'repeated',
      'rejected',
      'accepted',
    ])
    expect(reader.lanes.get(RUN)).toEqual({ base: 5, isFenced: false, next: 3, last: 10 })
  })

  it('rejects entries behind an end, a fence, a newer base, a deletion, and on an unknown subject', () => {
    for (const kind of ['open', 'close', 'fence', 'clear'] as const) {
      const reader = new OrderedCompare()
      expect(reader.journaled(at(2, 1, 0))).toBe('rejected')
      reader.compared({ seq: 5, subject: RUN, kind: 'open' })
      reader.compared({ seq: 6, subject: kind === 'clear' ? META : RUN, kind })
      expect(verdicts(reader, [at(7, 5, 0)])).toEqual(['rejected'])
      expect(reader.lanes.size).toBe(kind === 'open' || kind === 'fence' ? 1 : 0)
    }
  })

  it('keeps the last entry of a fenced subject, which the fence’s writer compares with', () => {
    const reader = new OrderedCompare()
    reader.compared({ seq: 5, subject: RUN, kind: 'open' })
    reader.journaled(at(6, 5, 0))
    reader.compared({ seq: 7, subject: RUN, kind: 'fence' })
    expect(reader.journaled(at(8, 7, 0))).toBe('rejected')
    expect(reader.lanes.get(RUN)).toEqual({ base: 7, isFenced: true, next: 0, last: 6 })
  })

  it('accepts entries behind the lift of a fence, after the same last entry', () => {
    const reader = new OrderedCompare()
    reader.compared({ seq: 5, subject: RUN, kind: 'open' })
    reader.journaled(at(6, 5, 0))
    reader.compared({ seq: 7, subject: RUN, kind: 'fence' })
    reader.compared({ seq: 8, subject: RUN, kind: 'lift' })
    expect(reader.lanes.get(RUN)).toEqual({ base: 8, isFenced: false, next: 0, last: 6 })
    expect(verdicts(reader, [at(9, 5, 1), at(10, 8, 0)])).toEqual(['rejected', 'accepted'])
  })

  it('is the same for every reader, wherever it begins, and strict for every writer', () => {
    let [accepted, rejected, repeated] = [0, 0, 0]
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 20, maxLength: 120 }),
        fc.infiniteStream(fc.double(fraction)),
        (steps, at) => {
          const stream = new Stream()
          const nodes = [new Node(stream), new Node(stream), new Node(stream)]
          act(stream, nodes[0] as Node, 'start', 0)
          for (const { node, action, choice } of steps) {
            const driver = action === 'output' ? nodes.find((one) => one.isDriver) : undefined
            act(stream, driver ?? (nodes[node] as Node), action, choice)
          }
          stream.arriveAll()
          const whole = new Reader()
          for (const message of stream.messages) whole.apply(message)
          expect(whole.accepted).toEqual(acceptedByDefinition(stream.messages))
          expectStrict(stream.messages, whole.accepted)
          for (let i = 0; i < 5; i++) {
            const start = Math.floor((at.next().value as number) * stream.messages.length)
            const cursor = Math.floor((at.next().value as number) * start)
            expectSameFrom(stream.messages, start, cursor, whole)
          }
          accepted += whole.accepted.length
          rejected += whole.rejected
          repeated += whole.repeated
        },
      ),
      { numRuns: 250 },
    )
    // The histories are not vacuous.
    expect(Math.min(accepted, rejected, repeated)).toBeGreaterThan(50)
  })
})

function at(seq: Seq, base: Seq, place: number): Journaled {
  return { seq, subject: RUN, base, place }
}

function verdicts(reader: OrderedCompare, entries: readonly Journaled[]): string[] {
  return entries.map((entry) => reader.journaled(entry))
}

const OPENS: ReadonlySet<string> = new Set(['open', 'lift'])
const fraction = { min: 0, max: 0.999, noNaN: true }

const WEIGHTS = { output: 30, see: 15, arrive: 25, resend: 5, start: 2, own: 2, end: 1, delete: 0.2 }
type Action = keyof typeof WEIGHTS

const step = fc.record({
  node: fc.nat({ max: 2 }),
  action: fc.oneof(
    ...Object.entries(WEIGHTS).map(([action, weight]) => {
      return { weight: weight * 5, arbitrary: fc.constant(action as Action) }
    }),
  ),
  choice: fc.double(fraction),
})

type Stored =
  | (Compared & {
      readonly type: 'compared'
      readonly rollup: boolean
      /** The entry that its writer believes to be the last one; undefined if readers do not get this entry. */
      readonly prev: Seq | undefined
    })
  | (Journaled & { readonly type: 'journaled' })
type Sent =
  | (Omit<Extract<Stored, { type: 'compared' }>, 'seq'> & { readonly expect: Seq })
  | Omit<Extract<Stored, { type: 'journaled' }>, 'seq'>

/** A stream, and the messages on their way to it, which arrive in any order, or twice. */
class Stream {
  readonly messages: Stored[] = []
  readonly sent: Sent[] = []
  readonly #onTheWay: Sent[] = []

  send(message: Sent): void {
    this.sent.push(message)
    this.#onTheWay.push(message)
  }

  resend(choice: number): void {
    const message = pick(this.sent.slice(-4), choice)
    if (message !== undefined) this.#onTheWay.push(message)
  }

  arrive(choice: number): void {
    const message = pick(this.#onTheWay, choice)
    if (message === undefined) return
    this.#onTheWay.splice(this.#onTheWay.indexOf(message), 1)
    const seq = this.messages.length + 1
    if (message.type === 'journaled') this.messages.push({ ...message, seq })
    else if (lastCompared(this.messages, message.subject) === message.expect) this.messages.push({ ...message, seq })
  }

  arriveAll(): void {
    while (this.#onTheWay.length > 0) this.arrive(0)
  }
}

function lastCompared(messages: readonly Stored[], subject: string): Seq {
  return messages.findLast((message) => message.type === 'compared' && message.subject === subject)?.seq ?? 0
}

/** Follows the stream as every node does, and writes as a driver or as somebody who ends a run. */
class Node {
  readonly #stream: Stream
  readonly reader = new Reader()
  seen = 0
  /** Of its own base: the place of its next output. */
  place = 0
  /** The base that it wrote. */
  base: Seq = -1

  constructor(stream: Stream) {
    this.#stream = stream
  }

  /** Whether it believes so. Several nodes may. */
  get isDriver(): boolean {
    const lane = this.reader.compare.lanes.get(RUN)
    return lane !== undefined && lane.base === this.base && !lane.isFenced
  }

  see(count: number): void {
    for (const message of this.#stream.messages.slice(this.seen, this.seen + count)) {
      this.reader.apply(message)
      this.seen = message.seq
    }
  }
}

/** Compared appends are strict: by the driver while nothing of it is on the way, by everybody else behind a fence. */
function act(stream: Stream, node: Node, action: Action, choice: number): void {
  const subject = RUN
  const lane = node.reader.compare.lanes.get(subject)
  const expect = lastCompared(stream.messages.slice(0, node.seen), subject)
  const isOwn = node.isDriver && lane?.next === node.place
  const mayCompare = isOwn || lane?.isFenced === true || expect === 0
  const compared = { type: 'compared', subject, expect, prev: lane?.last ?? 0 } as const
  if (action === 'see') node.see(1 + Math.floor(choice * 8))
  else if (action === 'arrive') stream.arrive(choice)
  else if (action === 'resend') stream.resend(choice)
  else if (action === 'output') {
    if (!node.isDriver) return
    stream.send({ type: 'journaled', subject, base: node.base, place: node.place++ })
  } else if (action === 'delete') {
    const last = lastCompared(stream.messages.slice(0, node.seen), META)
    if (last === 0) stream.send({ ...compared, subject: META, expect: 0, prev: 0, rollup: true, kind: 'clear' })
  } else if (expect > 0 && lane === undefined) return
  else if (!mayCompare) stream.send({ ...compared, rollup: false, kind: 'fence', prev: undefined })
  else if (action === 'end') stream.send({ ...compared, rollup: choice > 0.5, kind: 'close' })
  else {
    const before = stream.messages.length
    const isLift = action === 'own' && lane?.isFenced === true
    if (isLift) stream.send({ ...compared, rollup: false, kind: 'lift', prev: undefined })
    else stream.send({ ...compared, rollup: action === 'own', kind: 'open' })
    stream.arriveAll()
    node.see(Number.POSITIVE_INFINITY)
    const stored = stream.messages
      .slice(before)
      .find((message) => message.type === 'compared' && OPENS.has(message.kind))
    if (stored === undefined) return
    node.base = stored.seq
    node.place = 0
  }
}

class Reader {
  readonly compare = new OrderedCompare()
  readonly accepted: Seq[] = []
  rejected = 0
  repeated = 0

  apply(message: Stored): void {
    if (message.type === 'compared') return this.compare.compared(message)
    const verdict = this.compare.journaled(message)
    if (verdict === 'accepted') this.accepted.push(message.seq)
    else this[verdict] += 1
  }
}

/** The rule in one sentence, computed without state. */
function acceptedByDefinition(messages: readonly Stored[]): Seq[] {
  const accepted: (Stored & { type: 'journaled' })[] = []
  for (const message of messages) {
    if (message.type !== 'journaled') continue
    const { seq, subject, base, place } = message
    const before = messages.slice(0, seq - 1)
    const isOpen = messages[base - 1]?.type === 'compared' && OPENS.has((messages[base - 1] as Compared).kind)
    const isCleared = before.some((other) => other.type === 'compared' && other.kind === 'clear' && other.seq > base)
    const places = accepted.filter((other) => other.base === base).length
    if (isOpen && !isCleared && lastCompared(before, subject) === base && places === place) accepted.push(message)
  }
  return accepted.map(({ seq }) => seq)
}

/** Every compared entry follows the entry that its writer believed to be the last one. */
function expectStrict(messages: readonly Stored[], accepted: readonly Seq[]): void {
  const isAccepted = new Set(accepted)
  let last = 0
  let isCleared = false
  for (const message of messages) {
    if (message.type === 'journaled') last = isAccepted.has(message.seq) ? message.seq : last
    else if (message.kind === 'clear') isCleared = true
    else if (message.prev !== undefined) {
      if (!isCleared) expect(message.prev).toBe(last)
      last = message.seq
    }
  }
}

/** A reader that begins at `start` with what is stored then: the living compared entries, and the journal after them. */
function expectSameFrom(messages: readonly Stored[], start: Seq, cursor: Seq, whole: Reader): void {
  const stored = messages.slice(0, start)
  const rollup = stored.findLast((message) => message.type === 'compared' && message.subject === RUN && message.rollup)
  const from = rollup?.seq ?? 0
  const late = new Reader()
  for (const message of stored) {
    if (message.seq >= from || (message.type === 'compared' && message.subject === META)) late.apply(message)
  }
  for (const message of messages.slice(start)) late.apply(message)
  const isLiving = (seq: Seq): boolean => seq > cursor && (seq > from || seq > start)
  expect(late.accepted.filter(isLiving)).toEqual(whole.accepted.filter(isLiving))
  expect(late.compare.lanes).toEqual(whole.compare.lanes)
  // A reader that begins with the lanes of another one, which any node may store or send.
  const other = new Reader()
  for (const message of stored) other.apply(message)
  const copied = new OrderedCompare(JSON.parse(JSON.stringify([...other.compare.lanes])))
  for (const message of messages.slice(start)) {
    if (message.type === 'compared') copied.compared(message)
    else expect(copied.journaled(message)).toBe(other.compare.journaled(message))
    if (message.type === 'compared') other.compare.compared(message)
  }
}

function pick<T>(all: readonly T[], choice: number): T | undefined {
  return all[Math.floor(choice * all.length)]
}
