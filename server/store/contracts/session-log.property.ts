// A model of a SessionLog, and random histories after which the store and the model must agree: racing appends,
// rollups, readers and followers from any position, background work, retention, stops and crashes, in any order and
// concurrently.
import { formatCursor } from '@parley/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Entry } from '../ports/entry.ts'
import { Conflict, CursorLost } from '../ports/errors.ts'
import type { Retention } from '../ports/session-log.ts'
import { collect, output, type SessionLogHarness } from './session-log.contract.ts'

const SESSIONS = ['s0', 's1', 's2']
const SUBJECTS = ['run.a', 'run.b', 'in.c']
const RETENTION: Retention = { maxAgeMs: 10_000, maxBytes: 1_000_000_000 }

interface Attempt {
  readonly session: number
  readonly subject: number
  readonly rollup: boolean
  readonly stale: boolean
  readonly size: number
}

type Operation =
  | { readonly kind: 'race'; readonly attempts: readonly Attempt[]; readonly during: 'nothing' | 'maintain' | 'sweep' }
  | { readonly kind: 'follow'; readonly session: number; readonly at: number }
  | { readonly kind: 'read'; readonly session: number; readonly at: number; readonly batch: number }
  | { readonly kind: 'age'; readonly session: number; readonly at: number; readonly ms: number }
  | { readonly kind: 'maintain' | 'reopen' | 'crash' }

const session = fc.nat({ max: SESSIONS.length - 1 })
const position = fc.double({ min: 0, max: 1, noNaN: true })
const attempt: fc.Arbitrary<Attempt> = fc.record({
  session,
  subject: fc.nat({ max: SUBJECTS.length - 1 }),
  rollup: fc.nat({ max: 3 }).map((n) => n === 0),
  stale: fc.nat({ max: 5 }).map((n) => n === 0),
  size: fc.constantFrom(1, 40, 3000),
})
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('race' as const),
      attempts: fc.array(attempt, { minLength: 1, maxLength: 8 }),
      during: fc.constantFrom('nothing' as const, 'maintain' as const, 'sweep' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('follow' as const), session, at: position }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      session,
      at: position,
      batch: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('age' as const),
      session,
      at: position,
      ms: fc.constantFrom(100, 6000, 20_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('maintain' as const, 'reopen' as const, 'crash' as const) }),
  },
)

interface Following {
  readonly session: string
  /** The sequence numbers that it must have received. */
  readonly expected: number[]
  readonly seen: number[]
}

/** The expected content of the log. Applies each operation to the store too, and compares the results. */
class Model {
  readonly #harness: SessionLogHarness
  readonly #live = new Map<string, Entry[]>(SESSIONS.map((name) => [name, []]))
  readonly #lasts = new Map<string, number>()
  readonly #covered = new Map<string, number>()
  #followings: Following[] = []
  #now = 0
  #index = 0

  constructor(harness: SessionLogHarness) {
    this.#harness = harness
  }

  async apply(op: Operation): Promise<void> {
    if (op.kind === 'race') await this.#race(op.attempts, op.during)
    else if (op.kind === 'follow') await this.#follow(SESSIONS[op.session] as string, op.at)
    else if (op.kind === 'read') await this.#read(SESSIONS[op.session] as string, op.at, op.batch)
    else if (op.kind === 'age') await this.#age(SESSIONS[op.session] as string, op.at, op.ms)
    else {
      await this.#harness[op.kind]()
      if (op.kind !== 'maintain') this.#followings = []
    }
    await this.check()
  }

  async check(): Promise<void> {
    for (const name of SESSIONS) {
      await this.#learnTrimmed(name)
      const live = this.#live.get(name) as Entry[]
      const read = await this.#readFrom(name, this.#trimmed(name))
      expect(read.map(plain)).toEqual(live.map(plain))
      for (const subject of SUBJECTS) {
        expect(await this.#harness.log.last(name, subject)).toBe(this.#lasts.get(`${name} ${subject}`) ?? 0)
      }
    }
    for (const { seen, expected } of this.#followings) expect(seen).toEqual(expected)
  }

  async #race(attempts: readonly Attempt[], during: 'nothing' | 'maintain' | 'sweep'): Promise<void> {
    const { log } = this.#harness
    const calls = attempts.map(({ session: s, subject: l, rollup, stale, size }) => {
      const [name, subject] = [SESSIONS[s] as string, SUBJECTS[l] as string]
      const last = this.#lasts.get(`${name} ${subject}`) ?? 0
      const event = output(this.#index++, 'x'.repeat(size))
      const done = log.append(name, subject, event, stale ? last + 1_000_000 : last, { rollup })
      return { name, subject, last, stale, event, done }
    })
    const other = during === 'nothing' ? undefined : during === 'maintain' ? this.#harness.maintain() : log.sweep()
    const results = await Promise.allSettled(calls.map((call) => call.done))
    await other
    const won: { name: string; entry: Entry }[] = []
    const winners = new Map<string, number>()
    results.forEach((result, i) => {
      const { name, subject, last, stale, event } = calls[i] as (typeof calls)[number]
      if (result.status === 'rejected') return
      expect(stale).toBe(false)
      expect(winners.has(`${name} ${subject}`)).toBe(false)
      expect([result.value.prev, result.value.json]).toEqual([last, JSON.stringify(event)])
      winners.set(`${name} ${subject}`, result.value.seq)
      won.push({ name, entry: result.value })
    })
    results.forEach((result, i) => {
      const { name, subject, last, stale } = calls[i] as (typeof calls)[number]
      const winner = winners.get(`${name} ${subject}`)
      if (result.status === 'fulfilled') return
      expect(result.reason).toBeInstanceOf(Conflict)
      // An append with the right expectation can lose only to a winner.
      expect(stale ? [last, winner] : [winner]).toContain((result.reason as Conflict).last)
    })
    won.sort((a, b) => a.entry.seq - b.entry.seq)
    for (const { name, entry } of won) this.#publish(name, entry)
  }

  #publish(name: string, entry: Entry): void {
    const live = this.#live.get(name) as Entry[]
    const left = entry.rollup ? live.filter((other) => other.subject !== entry.subject) : live
    this.#live.set(name, [...left, entry])
    this.#lasts.set(`${name} ${entry.subject}`, entry.seq)
    for (const following of this.#followings) if (following.session === name) following.expected.push(entry.seq)
  }

  async #follow(name: string, at: number): Promise<void> {
    const after = this.#pick(name, at)
    const seen: number[] = []
    const live = this.#live.get(name) as Entry[]
    const expected = live.filter((entry) => entry.seq > after).map((entry) => entry.seq)
    await this.#harness.log.follow(name, this.#cursor(after), {
      entries: (batch) => seen.push(...batch.map((entry) => entry.seq)),
    })
    this.#followings.push({ session: name, expected, seen })
  }

  async #read(name: string, at: number, batchEntries: number): Promise<void> {
    const after = this.#pick(name, at)
    const seqs: number[] = []
    for await (const batch of this.#harness.log.read(name, this.#cursor(after), { batchEntries })) {
      expect(batch.length).toBeLessThanOrEqual(batchEntries)
      seqs.push(...batch.map((entry) => entry.seq))
    }
    const live = this.#live.get(name) as Entry[]
    expect(seqs).toEqual(live.filter((entry) => entry.seq > after).map((entry) => entry.seq))
  }

  async #age(name: string, at: number, ms: number): Promise<void> {
    const covered = Math.max(this.#pick(name, at), this.#covered.get(name) ?? 0)
    const revision = (await this.#harness.transcripts.load(name))?.revision ?? 0
    const transcript = { cursor: this.#cursor(covered), sealed: 0, entries: [], commands: [] }
    await this.#harness.transcripts.save(name, transcript, revision)
    this.#covered.set(name, covered)
    this.#harness.advance(ms)
    this.#now += ms
    await this.#harness.log.sweep()
  }

  // Retention may remove only old, covered entries, and always a prefix.
  async #learnTrimmed(name: string): Promise<void> {
    for (;;) {
      try {
        await this.#readFrom(name, this.#trimmed(name))
        return
      } catch (error) {
        expect(error).toEqual(new CursorLost('trimmed'))
        const gone = this.#live.get(name)?.shift() as Entry
        expect(gone.seq).toBeLessThanOrEqual(this.#covered.get(name) ?? 0)
        expect(gone.time).toBeLessThan(START + this.#now - RETENTION.maxAgeMs)
        this.#trims.set(name, gone.seq)
      }
    }
  }

  readonly #trims = new Map<string, number>()

  #trimmed(name: string): number {
    return this.#trims.get(name) ?? 0
  }

  #readFrom(name: string, seq: number): Promise<Entry[]> {
    return collect(this.#harness.log, name, this.#cursor(seq))
  }

  /** A valid position in the session: before its first untrimmed entry, or after one of its entries. */
  #pick(name: string, at: number): number {
    const seqs = [this.#trimmed(name), ...(this.#live.get(name) as Entry[]).map((entry) => entry.seq)]
    return seqs[Math.min(seqs.length - 1, Math.floor(at * seqs.length))] as number
  }

  #cursor(seq: number): string {
    return formatCursor(this.#harness.log.epoch, seq)
  }
}

/** The start of a harness's clock. */
const START = 1_700_000_000_000

function plain(entry: Entry): object {
  const { seq, prev, subject, time, rollup, json } = entry
  return { seq, prev, subject, time, rollup, json }
}

/**
 * @param open opens a store with this retention, a clock that starts at START, and limits so small that every part of
 *   it is used
 */
export function sessionLogProperty(
  name: string,
  open: (retention: Retention) => Promise<SessionLogHarness>,
  runs: number,
): void {
  describe(`${name} and a model`, () => {
    it('agree after every step of any history', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(operation, { maxLength: 40, size: 'max' }), async (operations) => {
          const harness = await open(RETENTION)
          try {
            const model = new Model(harness)
            for (const op of operations) await model.apply(op)
          } finally {
            await harness.close()
          }
        }),
        { numRuns: runs, interruptAfterTimeLimit: 40_000 },
      )
    }, 120_000)
  })
}
