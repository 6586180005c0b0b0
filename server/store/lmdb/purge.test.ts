// Purging from the embedded stores: the contract, and what is left of it in the files of the data folder.
import { describe, expect, it } from 'vitest'
import { deletedSession, output, purgeContract, say } from '../contracts/purge.contract.ts'
import { LmdbHarness } from '../test/lmdb-harness.ts'

purgeContract('LMDB', () => LmdbHarness.open())

describe('the journal of a data folder', () => {
  it.each(['settled', 'unsettled'])('holds nothing of a session that was %s and is purged', async (how) => {
    const harness = await LmdbHarness.open()
    const seq = await deletedSession(harness.log, 's', 'XYZZY')
    await say(harness.log, 'other', 'in.c', output(0, 'kept'))
    expect(harness.filesWith('XYZZY')).toContain('journal')
    if (how === 'settled') await harness.rest()
    await harness.log.purge('s', seq)
    expect(harness.filesWith('XYZZY')).not.toContain('journal')
    await say(harness.log, 'other', 'in.d', output(1, 'kept'))
    await harness.crash()
    const read: unknown[] = []
    for await (const batch of harness.log.read('other', `${harness.log.epoch}.0`)) read.push(...batch)
    expect(read).toHaveLength(2)
    await harness.close()
  })
})
