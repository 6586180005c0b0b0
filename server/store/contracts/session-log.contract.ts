// The contract that every store's SessionLog passes: the guarantees of its port. A store's test file calls it with a
// harness that opens the store with data of its own. Nothing here depends on a particular store.
import { type Event, formatCursor, parseCursor, parseJson } from '@parley/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Entry } from '../ports/entry.ts'
import { Conflict, CursorLost } from '../ports/errors.ts'
import type { Retention, SessionLog, Subscription } from '../ports/session-log.ts'
import type { TranscriptStore } from '../ports/transcript-store.ts'

export interface SessionLogHarness {
  /** The open log; another object after `reopen` and `crash`. */
  readonly log: SessionLog
  readonly transcripts: TranscriptStore
  /** Advances the clock for the times of entries and for retention. */
  advance(ms: number): void
  /** Stops cleanly, and starts again with the same data. */
  reopen(): Promise<void>
  /** Starts again with the data that is durable at this moment, without a clean stop. */
  crash(): Promise<void>
  /** Runs the store's background work (LMDB: a checkpoint) now. */
  maintain(): Promise<void>
  close(): Promise<void>
}

export interface SessionLogHarnessOptions {
  readonly retention?: Retention
}

export function output(index: number, text = `token ${index}`): Event {
  return { type: 'run.output', run: 'r', index, kind: 'text', text }
}

export function sessionLogContract(
  name: string,
  open: (options?: SessionLogHarnessOptions) => Promise<SessionLogHarness>,
): void {
  describe(`${name} as a session log`, () => {
    let harness: SessionLogHarness
    const begin = (): string => formatCursor(harness.log.epoch, 0)
    const cursor = (entry: Entry): string => formatCursor(harness.log.epoch, entry.seq)
    const readAll = async (session: string, after = begin()): Promise<Entry[]> => collect(harness.log, session, after)
    const append = (subject: string, expect: number, event = output(0), session = 's'): Promise<Entry> =>
      harness.log.append(session, subject, event, expect)

    beforeEach(async () => {
      harness = await open()
    })
    afterEach(async () => {
      await harness.close()
    })

    it('refuses names that would corrupt its records, and those that are too long for a key or a subject', async () => {
      const follower = { entries: () => undefined }
      for (const name of ['', 'a\tb', 'a\nb', 'a b', 'é', 'x'.repeat(257), 'x'.repeat(5_000)]) {
        await expect(append('run.r', 0, output(0), name)).rejects.toThrow(RangeError)
        await expect(append(name, 0)).rejects.toThrow(RangeError)
        await expect(readAll(name)).rejects.toThrow(RangeError)
        await expect(harness.log.follow(name, begin(), follower)).rejects.toThrow(RangeError)
        await expect(harness.log.head(name)).rejects.toThrow(RangeError)
        await expect(harness.log.last(name, 'run.r')).rejects.toThrow(RangeError)
        await expect(harness.log.last('s', name)).rejects.toThrow(RangeError)
        await expect(harness.log.purge(name, undefined)).rejects.toThrow(RangeError)
      }
      // The connection to the store has survived them.
      expect(await readAll('s')).toEqual([])
    })

    describe('compare and append', () => {
      it('assigns growing sequence numbers, and links each entry to the previous one of its subject', async () => {
        const first = await append('run.a', 0)
        const other = await append('run.b', 0)
        const second = await append('run.a', first.seq, output(1))
        expect(other.seq).toBeGreaterThan(first.seq)
        expect(second.seq).toBeGreaterThan(other.seq)
        expect([first.prev, other.prev, second.prev]).toEqual([0, 0, first.seq])
        expect(await harness.log.last('s', 'run.a')).toBe(second.seq)
        expect(await harness.log.last('s', 'run.c')).toBe(0)
        expect(await harness.log.last('elsewhere', 'run.a')).toBe(0)
      })

      it('refuses an append that expects another last entry, and reports the actual one', async () => {
        const first = await append('run.a', 0)
        await expect(append('run.a', 0)).rejects.toEqual(new Conflict(first.seq))
        await expect(append('run.b', first.seq)).rejects.toEqual(new Conflict(0))
        expect(await readAll('s')).toHaveLength(1)
      })

      it('lets exactly one of many racing appends win, and reports it to the others', async () => {
        const results = await Promise.allSettled(Array.from({ length: 50 }, (_, i) => append('tool.x', 0, output(i))))
        const won = results.filter((result) => result.status === 'fulfilled')
        expect(won).toHaveLength(1)
        const winner = won[0]?.value as Entry
        for (const result of results) {
          if (result.status === 'rejected') expect(result.reason).toEqual(new Conflict(winner.seq))
        }
        expect((await readAll('s')).map((entry) => entry.seq)).toEqual([winner.seq])
      })

      it('decides appends in order, although callers do not wait for the previous ones', async () => {
        const first = await append('run.a', 0)
        const results = await Promise.allSettled([
          append('run.a', first.seq, output(1)),
          append('run.a', first.seq, output(2)),
          append('run.b', 0, output(3)),
        ])
        expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
      })

      it('decides the appends of a writer like others, also after background work and next to other appends', async () => {
        const writer = harness.log.writer('s', 'run.a')
        const submit = (index: number, expect: number): Promise<Entry> =>
          new Promise((appended, refused) => writer.submit(output(index), expect, { appended, refused }))
        const first = await submit(0, 0)
        await harness.maintain()
        const second = await submit(1, first.seq)
        const others = await append('run.a', second.seq, output(2))
        await expect(submit(3, second.seq)).rejects.toEqual(new Conflict(others.seq))
        const seen: number[] = []
        const subscription = await harness.log.follow('s', cursor(others), {
          entries: (batch) => seen.push(...batch.map((entry) => entry.seq)),
        })
        const third = await submit(3, others.seq)
        subscription.close()
        const fourth = await submit(4, third.seq)
        expect(seen).toEqual([third.seq])
        expect((await readAll('s')).map(({ seq }) => seq)).toEqual(
          [first, second, others, third, fourth].map(({ seq }) => seq),
        )
      })

      it('keeps the event byte for byte as JSON', async () => {
        const text = 'é 漢字 \u2028 \t\n\r "quoted" \\ \u0000 😀 \ud800'
        const appended = await append('run.a', 0, output(0, text))
        expect(appended.json).toBe(JSON.stringify(output(0, text)))
        await harness.maintain()
        const [read] = await readAll('s')
        expect(read?.json).toBe(appended.json)
        expect(read?.event).toEqual(output(0, JSON.parse(JSON.stringify(text)) as string))
        await harness.reopen()
        expect((await readAll('s'))[0]?.json).toBe(appended.json)
      })

      it('keeps the digits of numbers that JavaScript would round', async () => {
        const json = '{"paid":12345678901234567890}'
        const result: Event = { type: 'tool.result', run: 'a', call: 'c', output: parseJson(json), by: 'x' }
        await append('tool.c', 0, result)
        await harness.reopen()
        const [read] = await readAll('s')
        expect(read?.json).toContain(json)
        expect(read?.event).toEqual(result)
      })

      it('stores an entry of a megabyte', async () => {
        const text = 'x'.repeat(1_000_000)
        await append('run.a', 0, output(0, text))
        await harness.crash()
        expect((await readAll('s'))[0]?.event).toEqual(output(0, text))
        await harness.maintain()
        expect((await readAll('s'))[0]?.event).toEqual(output(0, text))
      })

      it('stamps entries with the time of its clock', async () => {
        const first = await append('run.a', 0)
        harness.advance(5000)
        const second = await append('run.b', 0)
        expect(second.time - first.time).toBe(5000)
      })

      it('remembers a command for ever, also after its message was trimmed and the store restarted', async () => {
        await harness.close()
        harness = await open({ retention: { maxAgeMs: 1000, maxBytes: 1e9 } })
        const message = await append('in.command', 0)
        await cover(harness, 's', cursor(message))
        harness.advance(10_000)
        await harness.log.sweep()
        expect(await harness.log.last('s', 'in.command')).toBe(message.seq)
        await harness.reopen()
        await expect(append('in.command', 0)).rejects.toEqual(new Conflict(message.seq))
        await harness.crash()
        await expect(append('in.command', 0)).rejects.toEqual(new Conflict(message.seq))
      })
    })

    describe('reading', () => {
      it('returns the entries after the cursor, in order, in batches of the requested size', async () => {
        const entries = await appendMany(harness.log, 's', 'run.a', 25)
        await append('run.z', 0, output(0), 'another')
        const batches: number[] = []
        const seqs: number[] = []
        for await (const batch of harness.log.read('s', cursor(entries[4] as Entry), { batchEntries: 8 })) {
          batches.push(batch.length)
          seqs.push(...batch.map((entry) => entry.seq))
        }
        expect(batches).toEqual([8, 8, 4])
        expect(seqs).toEqual(entries.slice(5).map((entry) => entry.seq))
      })

      it('limits a batch by bytes, except for a single larger entry', async () => {
        await appendMany(harness.log, 's', 'run.a', 4, 'y'.repeat(1000))
        const sizes: number[] = []
        for await (const batch of harness.log.read('s', begin(), { batchBytes: 500 })) sizes.push(batch.length)
        expect(sizes).toEqual([1, 1, 1, 1])
      })

      it('is empty for a session without entries, whose head is the beginning', async () => {
        expect(await readAll('nobody')).toEqual([])
        expect(await harness.log.head('nobody')).toBe(begin())
      })

      it('has its head after the last entry, also after background work and a crash', async () => {
        const entry = await append('run.a', 0)
        await append('run.a', 0, output(0), 'another')
        expect(await harness.log.head('s')).toBe(cursor(entry))
        await harness.maintain()
        expect(await harness.log.head('s')).toBe(cursor(entry))
        await harness.crash()
        expect(await harness.log.head('s')).toBe(cursor(entry))
        expect(await readAll('s', cursor(entry))).toEqual([])
      })

      it.each([
        ['a foreign epoch', (): string => 'elsewhere.1', 'foreign'],
        ['a malformed cursor', (): string => 'garbage', 'foreign'],
        ['a position beyond the log', (): string => formatCursor(harness.log.epoch, 1_000_000), 'beyond'],
      ] as const)('refuses %s', async (_, make, reason) => {
        await append('run.a', 0)
        await expect(readAll('s', make())).rejects.toEqual(new CursorLost(reason))
        await expect(harness.log.follow('s', make(), { entries: () => undefined })).rejects.toEqual(
          new CursorLost(reason),
        )
      })

      it('keeps its epoch across restarts and crashes, and another log has another epoch', async () => {
        const { epoch } = harness.log
        await harness.reopen()
        expect(harness.log.epoch).toBe(epoch)
        await harness.crash()
        expect(harness.log.epoch).toBe(epoch)
        const other = await open()
        expect(other.log.epoch).not.toBe(epoch)
        expect(parseCursor(formatCursor(other.log.epoch, 1))).toBeDefined()
        await other.close()
      })
    })

    describe('rollup', () => {
      it('replaces the earlier entries of its subject and no others', async () => {
        const small = await appendMany(harness.log, 's', 'run.a', 5)
        const other = await append('run.b', 0)
        const end = await harness.log.append('s', 'run.a', output(9), small[4]?.seq ?? 0, { rollup: true })
        expect([end.rollup, end.prev]).toEqual([true, small[4]?.seq])
        const expected = [other.seq, end.seq]
        expect((await readAll('s')).map((entry) => entry.seq)).toEqual(expected)
        await harness.maintain()
        expect((await readAll('s')).map((entry) => entry.seq)).toEqual(expected)
        await harness.crash()
        expect((await readAll('s')).map((entry) => entry.seq)).toEqual(expected)
      })

      it('replaces entries that background work has moved, in one place or in many', async () => {
        const one = await appendMany(harness.log, 's', 'run.a', 3)
        await harness.maintain()
        const two = await appendMany(harness.log, 's', 'run.a', 3, undefined, one[2]?.seq)
        const other = await append('run.b', 0)
        await harness.maintain()
        const three = await appendMany(harness.log, 's', 'run.a', 3, undefined, two[2]?.seq)
        const end = await harness.log.append('s', 'run.a', output(9), three[2]?.seq ?? 0, { rollup: true })
        const after = await append('run.a', end.seq, output(10))
        const expected = [other.seq, end.seq, after.seq]
        expect((await readAll('s')).map((entry) => entry.seq)).toEqual(expected)
        await harness.crash()
        expect((await readAll('s')).map((entry) => entry.seq)).toEqual(expected)
        await harness.maintain()
        expect((await readAll('s')).map((entry) => entry.seq)).toEqual(expected)
        await harness.reopen()
        const again = await harness.log.append('s', 'run.a', output(11), after.seq, { rollup: true })
        await harness.maintain()
        expect((await readAll('s')).map((entry) => entry.seq)).toEqual([other.seq, again.seq])
      })

      it('reaches a live follower after the entries that it replaces', async () => {
        const seen: number[] = []
        await harness.log.follow('s', begin(), { entries: (batch) => seen.push(...batch.map((entry) => entry.seq)) })
        const first = await append('run.a', 0)
        const end = await harness.log.append('s', 'run.a', output(1), first.seq, { rollup: true })
        expect(seen).toEqual([first.seq, end.seq])
      })
    })

    describe('following', () => {
      it('delivers an entry before its append resolves', async () => {
        const seen: number[] = []
        await harness.log.follow('s', begin(), { entries: (batch) => seen.push(...batch.map((entry) => entry.seq)) })
        const entry = await append('run.a', 0)
        expect(seen).toEqual([entry.seq])
      })

      it('replays, then goes live, without a gap or a repeat during many appends', async () => {
        const writers = [0, 1, 2, 3].map((i) => appendMany(harness.log, 's', `run.${i}`, 150))
        const readers = Array.from({ length: 6 }, async () => {
          const seen: number[] = []
          await harness.log.follow('s', begin(), { entries: (batch) => seen.push(...batch.map((entry) => entry.seq)) })
          return seen
        })
        const maintaining = harness.maintain()
        const seen = await Promise.all(readers)
        await Promise.all([...writers, maintaining])
        const expected = (await readAll('s')).map((entry) => entry.seq)
        expect(expected).toHaveLength(600)
        for (const sequence of seen) expect(sequence).toEqual(expected)
      })

      it('starts at the cursor, and delivers only entries of its session', async () => {
        const [first, second] = await appendMany(harness.log, 's', 'run.a', 2)
        const seen: number[] = []
        await harness.log.follow('s', cursor(first as Entry), {
          entries: (batch) => seen.push(...batch.map((entry) => entry.seq)),
        })
        await append('run.a', 0, output(0), 'another')
        const third = await append('run.b', 0)
        expect(seen).toEqual([second?.seq, third.seq])
      })

      it('delivers nothing after close, also if a follower closes itself or another during a delivery', async () => {
        const seen: string[] = []
        const second: Subscription = { close: () => undefined }
        const first: Subscription = await harness.log.follow('s', begin(), {
          entries: () => {
            seen.push('first')
            first.close()
            second.close()
          },
        })
        const subscription = await harness.log.follow('s', begin(), { entries: () => seen.push('second') })
        second.close = () => subscription.close()
        const third = await harness.log.follow('s', begin(), { entries: () => seen.push('third') })
        const entry = await append('run.a', 0)
        await append('run.a', entry.seq, output(1))
        third.close()
        third.close()
        await append('run.b', 0)
        expect(seen).toEqual(['first', 'third', 'third'])
      })

      it('does not affect other followers if one throws', async () => {
        const seen: number[] = []
        await harness.log.follow('s', begin(), {
          entries: () => {
            throw new Error('a bad follower')
          },
        })
        await harness.log.follow('s', begin(), { entries: (batch) => seen.push(batch.length) })
        await append('run.a', 0)
        expect(seen).toEqual([1])
      })
    })

    describe('retention', () => {
      beforeEach(async () => {
        await harness.close()
        harness = await open({ retention: { maxAgeMs: 60_000, maxBytes: 20_000 } })
      })

      it('trims only entries that are old and that a transcript covers', async () => {
        const [first, second] = await appendMany(harness.log, 's', 'run.a', 2)
        const [, uncovered] = await appendMany(harness.log, 'uncovered', 'run.a', 2)
        await cover(harness, 's', cursor(second as Entry))
        harness.advance(61_000)
        const third = await append('run.b', 0)
        await harness.log.sweep()
        expect((await readAll('s', cursor(second as Entry))).map((entry) => entry.seq)).toEqual([third.seq])
        for (const lost of [begin(), cursor(first as Entry)]) {
          await expect(readAll('s', lost)).rejects.toEqual(new CursorLost('trimmed'))
        }
        expect((await readAll('uncovered')).at(-1)?.seq).toBe(uncovered?.seq)
        await harness.crash()
        await expect(readAll('s')).rejects.toEqual(new CursorLost('trimmed'))
        expect((await readAll('s', cursor(second as Entry))).map((entry) => entry.seq)).toEqual([third.seq])
      })

      it('keeps young entries, and the head of a session that was trimmed completely', async () => {
        const entry = await append('run.a', 0)
        await cover(harness, 's', cursor(entry))
        await harness.log.sweep()
        expect(await readAll('s')).toHaveLength(1)
        harness.advance(61_000)
        await harness.log.sweep()
        expect(await harness.log.head('s')).toBe(cursor(entry))
        expect(await readAll('s', cursor(entry))).toEqual([])
        const next = await append('run.a', entry.seq, output(1))
        expect((await readAll('s', cursor(entry))).map(({ seq }) => seq)).toEqual([next.seq])
      })

      it('loses no cursor because of a trimmed entry that a rollup had replaced before', async () => {
        // The replaced entry was stored separately from its rollup, and counted as the last one that a reader could
        // miss.
        const old = await append('run.a', 0)
        await harness.maintain()
        harness.advance(50_000)
        const end = await harness.log.append('s', 'run.a', output(1), old.seq, { rollup: true })
        await cover(harness, 's', cursor(end))
        harness.advance(11_000)
        await harness.log.sweep()
        expect((await readAll('s')).map((entry) => entry.seq)).toEqual([end.seq])
      })

      it('trims the oldest covered entries if the log is too large', async () => {
        const one = await appendMany(harness.log, 'one', 'run.a', 10, 'z'.repeat(1000))
        const two = await appendMany(harness.log, 'two', 'run.a', 10, 'z'.repeat(1000))
        await cover(harness, 'one', cursor(one[9] as Entry))
        await cover(harness, 'two', cursor(two[9] as Entry))
        await harness.log.sweep()
        await expect(readAll('one')).rejects.toEqual(new CursorLost('trimmed'))
        expect(await readAll('two')).toHaveLength(10)
      })

      it('keeps uncovered entries, no matter how large the log is', async () => {
        await appendMany(harness.log, 's', 'run.a', 30, 'z'.repeat(1000))
        await harness.log.sweep()
        expect(await readAll('s')).toHaveLength(30)
      })
    })

    describe('after a restart', () => {
      it('returns every acknowledged entry after a stop and after a crash, once, in order', async () => {
        const first = await appendMany(harness.log, 's', 'run.a', 20)
        await harness.maintain()
        const second = await appendMany(harness.log, 's', 'run.b', 20)
        await harness.crash()
        const expected = [...first, ...second].map((entry) => entry.json)
        expect((await readAll('s')).map((entry) => entry.json)).toEqual(expected)
        await harness.reopen()
        expect((await readAll('s')).map((entry) => entry.json)).toEqual(expected)
        const next = await append('run.a', first[19]?.seq ?? 0)
        expect(next.seq).toBeGreaterThan(second[19]?.seq ?? 0)
      })

      it('does not reuse sequence numbers, even if background work has emptied the journal', async () => {
        const entry = await append('run.a', 0)
        await harness.maintain()
        await harness.reopen()
        expect((await append('run.b', 0)).seq).toBeGreaterThan(entry.seq)
        await expect(append('run.a', 0)).rejects.toEqual(new Conflict(entry.seq))
      })
    })
  })
}

export async function collect(log: SessionLog, session: string, after: string): Promise<Entry[]> {
  const entries: Entry[] = []
  for await (const batch of log.read(session, after)) entries.push(...batch)
  return entries
}

export async function appendMany(
  log: SessionLog,
  session: string,
  subject: string,
  count: number,
  text?: string,
  last = 0,
): Promise<Entry[]> {
  const entries: Entry[] = []
  for (let i = 0; i < count; i++) {
    const entry = await log.append(session, subject, output(i, text), entries.at(-1)?.seq ?? last)
    entries.push(entry)
  }
  return entries
}

async function cover(harness: SessionLogHarness, session: string, cursor: string): Promise<void> {
  const revision = (await harness.transcripts.load(session))?.revision ?? 0
  await harness.transcripts.save(session, { cursor, sealed: 0, entries: [], commands: [] }, revision)
}
