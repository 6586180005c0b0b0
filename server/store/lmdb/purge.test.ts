// Purges of the embedded stores: the contract, and that the journal's files contain no purged data.
import { describe, expect, it } from 'vitest'
import { appendNext, deletedSession, output, purgeContract } from '../contracts/purge.contract.ts'
import { LmdbHarness } from '../test/lmdb-harness.ts'

purgeContract('LMDB', () => LmdbHarness.open())

describe('the journal of a data folder', () => {
  it.each(['before', 'after'])('contains nothing of a session that was purged %s a checkpoint', async (when) => {
    const harness = await LmdbHarness.open()
    const seq = await deletedSession(harness.log, 's', 'XYZZY')
    await appendNext(harness.log, 'other', 'in.c', output(0, 'kept'))
    expect(harness.filesWith('XYZZY')).toContain('journal')
    if (when === 'after') await harness.maintain()
    await harness.log.purge('s', seq)
    expect(harness.filesWith('XYZZY')).not.toContain('journal')
    await appendNext(harness.log, 'other', 'in.d', output(1, 'kept'))
    await harness.crash()
    const read: unknown[] = []
    for await (const batch of harness.log.read('other', `${harness.log.epoch}.0`)) read.push(...batch)
    expect(read).toHaveLength(2)
    await harness.close()
  })
})
