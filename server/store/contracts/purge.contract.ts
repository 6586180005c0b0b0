// The contract of purging, which every store's SessionLog, TranscriptStore and RunQueue pass: purged data stays purged,
// also after a crash, and no operation in flight restores any of it.
import { type Event, formatCursor } from '@parley/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Entry, Seq } from '../ports/entry.ts'
import { Conflict } from '../ports/errors.ts'
import type { RunQueue } from '../ports/run-queue.ts'
import type { SessionLog } from '../ports/session-log.ts'
import type { TranscriptStore } from '../ports/transcript-store.ts'

export interface PurgeHarness {
  readonly log: SessionLog
  readonly transcripts: TranscriptStore
  readonly runs: RunQueue
  reopen(): Promise<void>
  crash(): Promise<void>
  /** Runs the store's background work now. */
  maintain(): Promise<void>
  close(): Promise<void>
}

const DELETED: Event = { type: 'session.deleted', by: 'ann' }

export function output(index: number, text = `token ${index}`): Event {
  return { type: 'run.output', run: 'r', index, kind: 'text', text }
}

/** Appends to a subject after its last entry. */
export async function appendNext(log: SessionLog, session: string, subject: string, event: Event): Promise<Entry> {
  return log.append(session, subject, event, await log.last(session, subject))
}

/** Fills a session and appends its deletion. @returns the deletion's sequence number */
export async function deletedSession(log: SessionLog, session: string, text = 'secret'): Promise<Seq> {
  await appendNext(log, session, 'meta', { type: 'session.updated', title: text })
  await appendNext(log, session, 'in.c', output(0, text))
  for (let i = 0; i < 5; i += 1) await appendNext(log, session, 'run.r', output(i, `${text} ${i}`))
  await appendNext(log, session, 'tool.t', output(0, text))
  const last = await log.last(session, 'meta')
  return (await log.append(session, 'meta', DELETED, last, { rollup: true })).seq
}

export function purgeContract(name: string, open: () => Promise<PurgeHarness>): void {
  describe(`${name} purges`, () => {
    let harness: PurgeHarness

    beforeEach(async () => {
      harness = await open()
    })
    afterEach(async () => {
      await harness.close()
    })

    async function entries(session: string, after: Seq = 0): Promise<readonly string[]> {
      const found: string[] = []
      for await (const batch of harness.log.read(session, formatCursor(harness.log.epoch, after))) {
        found.push(...batch.map(({ seq, subject, event }) => `${seq} ${subject} ${event.type}`))
      }
      return found
    }

    describe.each(['before', 'after', 'during'])('a session %s a checkpoint', (when) => {
      async function make(): Promise<Seq> {
        const { log } = harness
        await appendNext(log, 'other', 'in.c', output(0))
        if (when === 'during') {
          await appendNext(log, 's', 'run.r', output(0))
          await harness.maintain()
        }
        const seq = await deletedSession(log, 's')
        await appendNext(log, 'other', 'in.d', output(1))
        if (when === 'after') await harness.maintain()
        return seq
      }

      it('keeps only the deletion, and readers get only that', async () => {
        const seq = await make()
        const { log } = harness
        await log.purge('s', seq)
        expect(await entries('s')).toEqual([`${seq} meta session.deleted`])
        expect(await entries('s', seq - 1)).toEqual([`${seq} meta session.deleted`])
        expect(await entries('s', seq)).toEqual([])
        expect(await log.head('s')).toBe(formatCursor(log.epoch, seq))
        expect(await entries('other')).toHaveLength(2)
      })

      it('stays purged after a restart, a crash and a second purge', async () => {
        const seq = await make()
        await harness.log.purge('s', seq)
        await harness.crash()
        expect(await entries('s')).toEqual([`${seq} meta session.deleted`])
        await harness.log.purge('s', seq)
        await harness.reopen()
        expect(await entries('s')).toEqual([`${seq} meta session.deleted`])
        expect(await entries('other')).toHaveLength(2)
      })

      it('conflicts with appends that expect a purged entry', async () => {
        const { log } = harness
        const seq = await make()
        const run = await log.last('s', 'run.r')
        await log.purge('s', seq)
        await expect(log.append('s', 'run.r', output(5), run)).rejects.toEqual(new Conflict(0))
        await expect(log.append('s', 'meta', DELETED, 0)).rejects.toEqual(new Conflict(seq))
        expect([await log.last('s', 'run.r'), await log.last('s', 'in.c')]).toEqual([0, 0])
        await harness.crash()
        await expect(harness.log.append('s', 'run.r', output(5), run)).rejects.toEqual(new Conflict(0))
        expect(await harness.log.last('s', 'meta')).toBe(seq)
      })

      it('loses entries after the deletion when it is purged again', async () => {
        const { log } = harness
        const seq = await make()
        await log.purge('s', seq)
        await appendNext(log, 's', 'in.late', output(0, 'late'))
        expect(await entries('s')).toHaveLength(2)
        await log.purge('s', seq)
        expect(await entries('s')).toEqual([`${seq} meta session.deleted`])
        await harness.crash()
        expect(await entries('s')).toEqual([`${seq} meta session.deleted`])
        expect(await harness.log.last('s', 'in.late')).toBe(0)
      })

      it('is like new after everything was purged', async () => {
        const seq = await make()
        await harness.log.purge('s', seq)
        await harness.log.purge('s', undefined)
        await harness.crash()
        const { log } = harness
        expect(await entries('s')).toEqual([])
        expect(await log.head('s')).toBe(formatCursor(log.epoch, 0))
        expect((await log.append('s', 'meta', output(0), 0)).prev).toBe(0)
        expect(await entries('s')).toHaveLength(1)
        expect(await entries('other')).toHaveLength(2)
      })
    })

    it('delivers entries after a purge to followers, and nothing twice', async () => {
      const { log } = harness
      const seq = await deletedSession(log, 's')
      const seen: Entry[] = []
      const after = formatCursor(log.epoch, seq)
      const subscription = await log.follow('s', after, { entries: (batch) => seen.push(...batch) })
      await log.purge('s', seq)
      const late = await appendNext(log, 's', 'in.late', output(0))
      expect(seen.map((entry) => entry.seq)).toEqual([late.seq])
      subscription.close()
    })

    it('leaves an empty transcript, which no save in flight replaces', async () => {
      const { transcripts } = harness
      const saved = { cursor: 'e.7', sealed: 1, entries: [], commands: [{ id: 'c', seq: 7 }] }
      const segment = [{ seq: 3, time: 3, json: '{"secret":1}' }]
      await transcripts.save('s', saved, 0, [segment])
      await transcripts.save('other', saved, 0, [segment])
      await transcripts.purge('s', 'e.9')
      expect(await transcripts.load('s')).toMatchObject({ cursor: 'e.9', sealed: 0, entries: [], commands: [] })
      expect(await transcripts.segment('s', 0)).toBeUndefined()
      for (const expected of [0, 1]) await expect(transcripts.save('s', saved, expected)).rejects.toThrow(Conflict)
      await transcripts.purge('s', 'e.9')
      await harness.crash()
      expect(await harness.transcripts.load('s')).toMatchObject({ cursor: 'e.9', entries: [] })
      await harness.transcripts.purge('s')
      expect(await harness.transcripts.load('s')).toBeUndefined()
      expect(await harness.transcripts.segment('other', 0)).toEqual(segment)
      await harness.transcripts.save('s', saved, 0, [segment])
      expect(await harness.transcripts.load('s')).toMatchObject({ revision: 1 })
    })

    it('delivers no run of a dropped session', async () => {
      const { runs } = harness
      for (const run of ['r1', 'r2']) await runs.offer({ session: 's', run, command: run })
      await runs.offer({ session: 's2', run: 'r3', command: 'c3' })
      await runs.drop('s')
      await harness.crash()
      const given = await new Promise<string>((resolve) => {
        const handler = async ({ run }: { readonly run: string }): Promise<void> => resolve(run)
        harness.runs.take(handler, { concurrency: 1 }).catch(() => resolve('refused'))
      })
      expect(given).toBe('r3')
    })
  })
}
