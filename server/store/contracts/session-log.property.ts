// A model of a SessionLog, and random histories that the store and the model must agree on: racing appends, roll-ups,
// readers and followers from anywhere, background work, retention, stops and crashes, in any order and at once.
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
  | { readonly kind: 'race'; readonly attempts: readonly Attempt[]; readonly beside: 'nothing' | 'rest' | 'sweep' }
  | { readonly kind: 'follow'; readonly session: number; readonly at: number }
  | { readonly kind: 'read'; readonly session: number; readonly at: number; readonly batch: number }
  | { readonly kind: 'age'; readonly session: number; readonly at: number; readonly ms: number }
  | { readonly kind: 'rest' | 'reopen' | 'crash' }

const session = fc.nat({ max: SESSIONS.length - 1 })
const place = fc.double({ min: 0, max: 1, noNaN: true })
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
      beside: fc.constantFrom('nothing' as const, 'rest' as const, 'sweep' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('follow' as const), session, at: place }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      session,
      at: place,
      batch: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('age' as const),
      session,
      at: place,
      ms: fc.constantFrom(100, 6000, 20_000),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('rest' as const, 'reopen' as const, 'crash' as const) }) },
)

interface Following {
  readonly session: string
  /** What it must have been given. */
  readonly expected: number[]
  readonly seen: number[]
}

/** What the log should hold, and the store beside it. */
class Model {
  readonly #harness: SessionLogHarness
  readonly #living = new Map<string, Entry[]>(SESSIONS.map((name) => [name, []]))
  readonly #lasts = new Map<string, number>()
  readonly #covered = new Map<string, number>()
  #followings: Following[] = []
  #now = 0
  #index = 0

  constructor(harness: SessionLogHarness) {
    this.#harness = harness
  }

  async apply(op: Operation): Promise<void> {
    if (op.kind === 'race') await this.#race(op.attempts, op.beside)
    else if (op.kind === 'follow') await this.#follow(SESSIONS[op.session] as string, op.at)
    else if (op.kind === 'read') await this.#read(SESSIONS[op.session] as string, op.at, op.batch)
    else if (op.kind === 'age') await this.#age(SESSIONS[op.session] as string, op.at, op.ms)
    else {
      await this.#harness[op.kind]()
      if (op.kind !== 'rest') this.#followings = []
    }
    await this.check()
  }

  async check(): Promise<void> {
    for (const name of SESSIONS) {
      await this.#learnTrimmed(name)
      const living = this.#living.get(name) as Entry[]
      const read = await this.#readFrom(name, this.#trimmed(name))
      expect(read.map(plain)).toEqual(living.map(plain))
      for (const subject of SUBJECTS) {
        expect(await this.#harness.log.last(name, subject)).toBe(this.#lasts.get(`${name} ${subject}`) ?? 0)
      }
    }
    for (const { seen, expected } of this.#followings) expect(seen).toEqual(expected)
  }

  async #race(attempts: readonly Attempt[], beside: 'nothing' | 'rest' | 'sweep'): Promise<void> {
    const { log } = this.#harness
    const calls = attempts.map(({ session: s, subject: l, rollup, stale, size }) => {
      const [name, subject] = [SESSIONS[s] as string, SUBJECTS[l] as string]
      const last = this.#lasts.get(`${name} ${subject}`) ?? 0
      const event = output(this.#index++, 'x'.repeat(size))
      const done = log.append(name, subject, event, stale ? last + 1_000_000 : last, { rollup })
      return { name, subject, last, stale, event, done }
    })
    const other = beside === 'nothing' ? undefined : beside === 'rest' ? this.#harness.rest() : log.sweep()
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
      // Somebody who expected the right thing lost only to a winner.
      expect(stale ? [last, winner] : [winner]).toContain((result.reason as Conflict).last)
    })
    won.sort((a, b) => a.entry.seq - b.entry.seq)
    for (const { name, entry } of won) this.#show(name, entry)
  }

  #show(name: string, entry: Entry): void {
    const living = this.#living.get(name) as Entry[]
    const left = entry.rollup ? living.filter((other) => other.subject !== entry.subject) : living
    this.#living.set(name, [...left, entry])
    this.#lasts.set(`${name} ${entry.subject}`, entry.seq)
    for (const following of this.#followings) if (following.session === name) following.expected.push(entry.seq)
  }

  async #follow(name: string, at: number): Promise<void> {
    const after = this.#pick(name, at)
    const seen: number[] = []
    const living = this.#living.get(name) as Entry[]
    const expected = living.filter((entry) => entry.seq > after).map((entry) => entry.seq)
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
    const living = this.#living.get(name) as Entry[]
    expect(seqs).toEqual(living.filter((entry) => entry.seq > after).map((entry) => entry.seq))
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

  // What retention took away: only what it might, and always a prefix.
  async #learnTrimmed(name: string): Promise<void> {
    for (;;) {
      try {
        await this.#readFrom(name, this.#trimmed(name))
        return
      } catch (error) {
        expect(error).toEqual(new CursorLost('trimmed'))
        const gone = this.#living.get(name)?.shift() as Entry
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

  /** A place in the session that can be read from: its beginning as it is now, or after one of its entries. */
  #pick(name: string, at: number): number {
    const seqs = [this.#trimmed(name), ...(this.#living.get(name) as Entry[]).map((entry) => entry.seq)]
    return seqs[Math.min(seqs.length - 1, Math.floor(at * seqs.length))] as number
  }

  #cursor(seq: number): string {
    return formatCursor(this.#harness.log.epoch, seq)
  }
}

/** Where a harness's clock starts. */
const START = 1_700_000_000_000

function plain(entry: Entry): object {
  const { seq, prev, subject, time, rollup, json } = entry
  return { seq, prev, subject, time, rollup, json }
}

/** @param open with this retention, a clock that starts at 1,700,000,000,000, and bounds so small that all of the store is used */
export function sessionLogProperty(
  name: string,
  open: (retention: Retention) => Promise<SessionLogHarness>,
  runs: number,
): void {
  describe(`${name} beside a model`, () => {
    it('agrees with it after every step of any history', async () => {
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
