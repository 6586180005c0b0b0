// The contract that every store's SessionDirectory and DeletionList pass.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DeletionList } from '../ports/deletion-list.ts'
import type { ListedSession, SessionDirectory, SessionSummary } from '../ports/session-directory.ts'

export interface DirectoryHarness {
  readonly directory: SessionDirectory
  readonly deletions: DeletionList
  reopen(): Promise<void>
  crash(): Promise<void>
  close(): Promise<void>
}

const summary = (session: string, seq: number, fields: Partial<SessionSummary> = {}): SessionSummary => ({
  session,
  seq,
  title: undefined,
  createdAt: 1_000,
  updatedAt: 1_000 + seq,
  members: new Map([['ann', 'owner']]),
  ...fields,
})

/** User ids with characters that are special in keys or subjects. */
const SPECIAL_IDS = ['a.b', 'a*', '>', 'ann smith', 'ünïcödé', '../x', 'a\u0000b', 'x'.repeat(256)]

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

    it('has no sessions of an unknown user', async () => {
      await harness.directory.update(summary('s1', 1))
      expect(await names('bob')).toEqual([])
    })

    it('lists sessions, the newest activity first', async () => {
      const { directory } = harness
      await directory.update(summary('s1', 1, { title: 'One' }))
      await directory.update(summary('s2', 5, { members: new Map([['ann', 'viewer']]) }))
      await directory.update(summary('s3', 3))
      expect(await directory.list('ann', 50)).toEqual([
        { session: 's2', role: 'viewer', createdAt: 1_000, updatedAt: 1_005 },
        { session: 's3', role: 'owner', createdAt: 1_000, updatedAt: 1_003 },
        { session: 's1', role: 'owner', title: 'One', createdAt: 1_000, updatedAt: 1_001 },
      ])
      await directory.update(summary('s1', 9, { members: new Map() }))
      expect(await names()).toEqual(['s1', 's2', 's3'])
    })

    it('returns pages that form the whole list, also if sessions have the same time', async () => {
      const { directory } = harness
      const all = Array.from({ length: 25 }, (_, i) => summary(`s${i + 10}`, 1, { updatedAt: 2_000 + (i % 3) }))
      for (const one of all) await directory.update(one)
      const paged: ListedSession[] = []
      for (;;) {
        const page = await directory.list('ann', 4, paged.at(-1))
        paged.push(...page)
        if (page.length < 4) break
      }
      expect(paged).toEqual(await directory.list('ann', 50))
      expect(new Set(paged.map(({ session }) => session)).size).toBe(25)
    })

    it('lists the current role of each member, and nothing for former members', async () => {
      const { directory } = harness
      const members = new Map([
        ['ann', 'owner'],
        ['bob', 'editor'],
        ['cid', 'viewer'],
      ])
      await directory.update(summary('s1', 3, { members }))
      await directory.update(summary('s1', 5, { members: new Map([['bob', undefined]]) }))
      expect(await names('bob')).toEqual([])
      expect(await directory.list('cid', 9)).toMatchObject([{ session: 's1', role: 'viewer', updatedAt: 1_005 }])
      await directory.update(summary('s1', 6, { members: new Map([['bob', 'viewer']]) }))
      expect(await directory.list('bob', 9)).toMatchObject([{ role: 'viewer' }])
    })

    it('ignores older summaries, except for an earlier creation time', async () => {
      const { directory } = harness
      const members = new Map([
        ['ann', 'owner'],
        ['bob', undefined],
      ])
      await directory.update(summary('s1', 9, { title: 'New', members }))
      const older = new Map([
        ['ann', 'viewer'],
        ['bob', 'editor'],
      ])
      await directory.update(summary('s1', 5, { title: 'Old', createdAt: 900, members: older }))
      expect(await names('bob')).toEqual([])
      expect(await directory.list('ann', 9)).toEqual([
        { session: 's1', role: 'owner', title: 'New', createdAt: 900, updatedAt: 1_009 },
      ])
    })

    it('removes a session from the lists of all users', async () => {
      const { directory } = harness
      const members = new Map([
        ['ann', 'owner'],
        ['bob', 'editor'],
      ])
      await directory.update(summary('s1', 3, { members }))
      await directory.update(summary('s10', 4, { members }))
      await directory.forget('s1')
      await directory.forget('s1')
      expect([await names('ann'), await names('bob')]).toEqual([['s10'], ['s10']])
    })

    it('separates users whose ids have special characters', async () => {
      const { directory } = harness
      for (const [i, user] of SPECIAL_IDS.entries()) {
        await directory.update(summary(`s${i}`, 1, { members: new Map([[user, 'owner']]) }))
      }
      for (const [i, user] of SPECIAL_IDS.entries()) expect(await names(user)).toEqual([`s${i}`])
    })

    it('keeps its rows after a restart and after a crash', async () => {
      await harness.directory.update(summary('s1', 1))
      await harness.deletions.put({ session: 's9', at: 5 }, 'begun')
      await harness.reopen()
      expect(await names()).toEqual(['s1'])
      await harness.directory.update(summary('s2', 2))
      await harness.crash()
      expect(await names()).toEqual(['s2', 's1'])
      expect(await harness.deletions.list('begun', 9)).toEqual([{ session: 's9', at: 5 }])
    })

    it('lists the deletions of each stage, the oldest first', async () => {
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
