// The contract that every store's TranscriptStore passes.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Conflict } from '../ports/errors.ts'
import type { CompactedEntry, Transcript, TranscriptStore } from '../ports/transcript-store.ts'

export interface TranscriptStoreHarness {
  readonly transcripts: TranscriptStore
  reopen(): Promise<void>
  crash(): Promise<void>
  close(): Promise<void>
}

const entry = (seq: number, text = ''): CompactedEntry => ({
  seq,
  time: 1_700_000_000_000 + seq,
  json: `{"text":"${text}"}`,
})

const transcript = (fields: Partial<Transcript> = {}): Omit<Transcript, 'revision'> => ({
  cursor: 'epoch.7',
  sealed: 0,
  entries: [entry(3, 'é 漢 😀'), entry(7)],
  commands: [
    { id: 'c1', seq: 3, message: 'c1', run: 'r1' },
    { id: 'c2', seq: 7 },
  ],
  ...fields,
})

export function transcriptStoreContract(name: string, open: () => Promise<TranscriptStoreHarness>): void {
  describe(`${name} as a transcript store`, () => {
    let harness: TranscriptStoreHarness

    beforeEach(async () => {
      harness = await open()
    })
    afterEach(async () => {
      await harness.close()
    })

    it('has no transcript of a session that was never compacted', async () => {
      expect(await harness.transcripts.load('s')).toBeUndefined()
      expect(await harness.transcripts.segment('s', 0)).toBeUndefined()
    })

    it('returns the saved transcript, with a revision that grows by one', async () => {
      await harness.transcripts.save('s', transcript(), 0)
      expect(await harness.transcripts.load('s')).toEqual({ ...transcript(), revision: 1 })
      await harness.transcripts.save('s', transcript({ cursor: 'epoch.9' }), 1)
      expect(await harness.transcripts.load('s')).toEqual({ ...transcript({ cursor: 'epoch.9' }), revision: 2 })
      expect(await harness.transcripts.load('another')).toBeUndefined()
    })

    it('refuses a save that expects another revision, and reports the stored one', async () => {
      await expect(harness.transcripts.save('s', transcript(), 1)).rejects.toEqual(new Conflict(0))
      await harness.transcripts.save('s', transcript(), 0)
      await expect(harness.transcripts.save('s', transcript({ sealed: 1 }), 0, [[entry(1)]])).rejects.toEqual(
        new Conflict(1),
      )
      expect(await harness.transcripts.segment('s', 0)).toBeUndefined()
      expect((await harness.transcripts.load('s'))?.sealed).toBe(0)
    })

    it('lets exactly one of many racing saves win', async () => {
      const saves = Array.from({ length: 10 }, (_, i) =>
        harness.transcripts.save('s', transcript({ cursor: `e.${i}` }), 0),
      )
      const results = await Promise.allSettled(saves)
      expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1)
      for (const result of results) if (result.status === 'rejected') expect(result.reason).toEqual(new Conflict(1))
    })

    it('stores closed segments together with the save, numbered after the previous ones', async () => {
      await harness.transcripts.save('s', transcript({ sealed: 1, entries: [] }), 0, [[entry(1), entry(2)]])
      await harness.transcripts.save('s', transcript({ sealed: 3 }), 1, [[entry(3)], [entry(4), entry(5)]])
      expect(await harness.transcripts.segment('s', 0)).toEqual([entry(1), entry(2)])
      expect(await harness.transcripts.segment('s', 1)).toEqual([entry(3)])
      expect(await harness.transcripts.segment('s', 2)).toEqual([entry(4), entry(5)])
      expect(await harness.transcripts.segment('s', 3)).toBeUndefined()
    })

    it('keeps a transcript of a megabyte', async () => {
      const large = transcript({ entries: Array.from({ length: 1000 }, (_, i) => entry(i + 1, 'x'.repeat(1000))) })
      await harness.transcripts.save('s', large, 0)
      expect(await harness.transcripts.load('s')).toEqual({ ...large, revision: 1 })
    })

    it('keeps a closed segment of 16 MiB after a crash', async () => {
      const large = entry(1, 'é漢😀x'.repeat(2 * 1024 * 1024))
      await harness.transcripts.save('s', transcript({ sealed: 1 }), 0, [[large]])
      await harness.crash()
      const [found] = (await harness.transcripts.segment('s', 0)) ?? []
      // Not by toEqual, whose report of a difference would take minutes.
      expect(found?.json === large.json).toBe(true)
    })

    it('keeps transcripts after a restart and after a crash', async () => {
      await harness.transcripts.save('s', transcript({ sealed: 1 }), 0, [[entry(1)]])
      await harness.crash()
      expect(await harness.transcripts.load('s')).toEqual({ ...transcript({ sealed: 1 }), revision: 1 })
      await harness.reopen()
      expect(await harness.transcripts.segment('s', 0)).toEqual([entry(1)])
      await expect(harness.transcripts.save('s', transcript(), 0)).rejects.toEqual(new Conflict(1))
    })
  })
}
