// The contract of a SessionDirectory and of a DeletionList, for every store.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DeletionList } from '../ports/deletion-list.ts'
import type { ListedSession, SessionDirectory, SessionNote } from '../ports/session-directory.ts'

export interface DirectoryHarness {
  readonly directory: SessionDirectory
  readonly deletions: DeletionList
  reopen(): Promise<void>
  crash(): Promise<void>
  close(): Promise<void>
}

const note = (session: string, seq: number, fields: Partial<SessionNote> = {}): SessionNote => ({
  session,
  seq,
  title: undefined,
  createdAt: 1_000,
  updatedAt: 1_000 + seq,
  members: new Map([['ann', 'owner']]),
  ...fields,
})

/** Names that a key or a subject might take for something else. */
const ODD = ['a.b', 'a*', '>', 'ann smith', 'ünïcödé', '../x', 'a\u0000b', 'x'.repeat(256)]

export function sessionDirectoryContract(name: string, open: () => Promise<DirectoryHarness>): void {
  describe(`${name} as a session directory`, () => {
    let harness: DirectoryHarness
    const names = async (user = 'ann', limit = 50): Promise<readonly string[]> =>
      (await harness.directory.list(user, limit)).map(({ session }) => session)

    beforeEach(async () => {
      harness = await open()
    })
    afterEach(async () => {
      await harness.close()
    })

    it('has no sessions of somebody of whom nothing was noted', async () => {
      await harness.directory.note(note('s1', 1))
      expect(await names('bob')).toEqual([])
    })

    it('lists what was noted, the newest activity first', async () => {
      const { directory } = harness
      await directory.note(note('s1', 1, { title: 'One' }))
      await directory.note(note('s2', 5, { members: new Map([['ann', 'viewer']]) }))
      await directory.note(note('s3', 3))
      expect(await directory.list('ann', 50)).toEqual([
        { session: 's2', role: 'viewer', createdAt: 1_000, updatedAt: 1_005 },
        { session: 's3', role: 'owner', createdAt: 1_000, updatedAt: 1_003 },
        { session: 's1', role: 'owner', title: 'One', createdAt: 1_000, updatedAt: 1_001 },
      ])
      await directory.note(note('s1', 9, { members: new Map() }))
      expect(await names()).toEqual(['s1', 's2', 's3'])
    })

    it('gives pages that together are the whole list, also where activity is of one moment', async () => {
      const { directory } = harness
      const all = Array.from({ length: 25 }, (_, i) => note(`s${i + 10}`, 1, { updatedAt: 2_000 + (i % 3) }))
      for (const one of all) await directory.note(one)
      const paged: ListedSession[] = []
      for (;;) {
        const page = await directory.list('ann', 4, paged.at(-1))
        paged.push(...page)
        if (page.length < 4) break
      }
      expect(paged).toEqual(await directory.list('ann', 50))
      expect(new Set(paged.map(({ session }) => session)).size).toBe(25)
    })

    it('gives each member the role that they have, and takes it from who left', async () => {
      const { directory } = harness
      const members = new Map([
        ['ann', 'owner'],
        ['bob', 'editor'],
        ['cid', 'viewer'],
      ])
      await directory.note(note('s1', 3, { members }))
      await directory.note(note('s1', 5, { members: new Map([['bob', undefined]]) }))
      expect(await names('bob')).toEqual([])
      expect(await directory.list('cid', 9)).toMatchObject([{ session: 's1', role: 'viewer', updatedAt: 1_005 }])
      await directory.note(note('s1', 6, { members: new Map([['bob', 'viewer']]) }))
      expect(await directory.list('bob', 9)).toMatchObject([{ role: 'viewer' }])
    })

    it('takes nothing back for a note that is older', async () => {
      const { directory } = harness
      const members = new Map([
        ['ann', 'owner'],
        ['bob', undefined],
      ])
      await directory.note(note('s1', 9, { title: 'New', members }))
      const older = new Map([
        ['ann', 'viewer'],
        ['bob', 'editor'],
      ])
      await directory.note(note('s1', 5, { title: 'Old', createdAt: 900, members: older }))
      expect(await names('bob')).toEqual([])
      expect(await directory.list('ann', 9)).toEqual([
        { session: 's1', role: 'owner', title: 'New', createdAt: 900, updatedAt: 1_009 },
      ])
    })

    it('forgets a session in everybody’s list', async () => {
      const { directory } = harness
      const members = new Map([
        ['ann', 'owner'],
        ['bob', 'editor'],
      ])
      await directory.note(note('s1', 3, { members }))
      await directory.note(note('s10', 4, { members }))
      await directory.forget('s1')
      await directory.forget('s1')
      expect([await names('ann'), await names('bob')]).toEqual([['s10'], ['s10']])
    })

    it('keeps users apart, whatever they are called', async () => {
      const { directory } = harness
      for (const [i, user] of ODD.entries()) {
        await directory.note(note(`s${i}`, 1, { members: new Map([[user, 'owner']]) }))
      }
      for (const [i, user] of ODD.entries()) expect(await names(user)).toEqual([`s${i}`])
    })

    it('has what was noted after a stop, and after a crash', async () => {
      await harness.directory.note(note('s1', 1))
      await harness.deletions.put({ session: 's9', at: 5 }, 'begun')
      await harness.reopen()
      expect(await names()).toEqual(['s1'])
      await harness.directory.note(note('s2', 2))
      await harness.crash()
      expect(await names()).toEqual(['s2', 's1'])
      expect(await harness.deletions.list('begun', 9)).toEqual([{ session: 's9', at: 5 }])
    })

    it('moves deletions from stage to stage, the oldest first', async () => {
      const { deletions } = harness
      for (const [i, session] of ['a', 'b', 'c'].entries()) await deletions.put({ session, at: i }, 'begun')
      await deletions.put({ session: 'b', at: 1 }, 'purged')
      await deletions.remove({ session: 'b', at: 1 }, 'begun')
      await deletions.remove({ session: 'b', at: 1 }, 'begun')
      expect(await deletions.list('begun', 9)).toEqual([
        { session: 'a', at: 0 },
        { session: 'c', at: 2 },
      ])
      expect(await deletions.list('begun', 1)).toEqual([{ session: 'a', at: 0 }])
      expect(await deletions.list('purged', 9)).toEqual([{ session: 'b', at: 1 }])
      expect(await deletions.list('kept', 9)).toEqual([])
    })
  })
}
