// The contract that every store's UsageLedger passes.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Tally, UsageLedger } from '../ports/usage-ledger.ts'

export interface LedgerHarness {
  readonly usage: UsageLedger
  reopen(): Promise<void>
  crash(): Promise<void>
  close(): Promise<void>
}

const DAY = 86_400_000
const tally = (writer: string, total: number, more: Partial<Tally> = {}): Tally => {
  return { account: 'u-ann', windowMs: DAY, index: 7, writer, total, ...more }
}

export function usageLedgerContract(name: string, open: () => Promise<LedgerHarness>): void {
  describe(`${name} as a usage ledger`, () => {
    let harness: LedgerHarness
    const totals = async (more: Partial<Tally> = {}): Promise<Readonly<Record<string, number>>> => {
      const { account, windowMs, index } = tally('', 0, more)
      const all = await harness.usage.load({ account, windowMs, index })
      return Object.fromEntries(all.map(({ writer, total }) => [writer, total]))
    }

    beforeEach(async () => {
      harness = await open()
    })
    afterEach(async () => {
      await harness.close()
    })

    it('has no tallies of an account without usage', async () => {
      await harness.usage.put([tally('n1', 5)])
      expect(await totals({ account: 'u-bob' })).toEqual({})
      expect(await totals({ account: 'u-an' })).toEqual({})
    })

    it('returns the last tally of each writer', async () => {
      await harness.usage.put([tally('n1', 5), tally('n2', 7)])
      await harness.usage.put([tally('n1', 9)])
      await harness.usage.put([tally('n1', 9)])
      expect(await totals()).toEqual({ n1: 9, n2: 7 })
    })

    it('separates accounts, windows and window lengths', async () => {
      const others = [{ account: 's-ann' }, { index: 8 }, { windowMs: 1_000 }]
      await harness.usage.put([tally('n1', 1), ...others.map((more, i) => tally('n1', i + 2, more))])
      expect(await totals()).toEqual({ n1: 1 })
      for (const [i, more] of others.entries()) expect(await totals(more)).toEqual({ n1: i + 2 })
    })

    it('stores many tallies at once', async () => {
      const many = Array.from({ length: 450 }, (_, i) => tally('n1', i + 1, { account: `u-${i}` }))
      await harness.usage.put(many)
      expect(await totals({ account: 'u-449' })).toEqual({ n1: 450 })
    })

    it('keeps tallies after a restart and after a crash', async () => {
      await harness.usage.put([tally('n1', 5)])
      await harness.reopen()
      expect(await totals()).toEqual({ n1: 5 })
      await harness.usage.put([tally('n2', 6)])
      await harness.crash()
      expect(await totals()).toEqual({ n1: 5, n2: 6 })
    })

    it('deletes the windows before an index, of one length only', async () => {
      const other = { windowMs: 1_000 }
      await harness.usage.put([tally('n1', 1, { index: 6 }), tally('n1', 2), tally('n1', 3, { ...other, index: 6 })])
      await harness.usage.forget(DAY, 7)
      await harness.usage.forget(DAY, 7)
      expect(await totals({ index: 6 })).toEqual({})
      expect(await totals()).toEqual({ n1: 2 })
      expect(await totals({ ...other, index: 6 })).toEqual({ n1: 3 })
    })
  })
}
