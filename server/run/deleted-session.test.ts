// Runs of a session that is deleted: their models are cut off, nobody takes them over, and nothing more of them is stored.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EngineHarness } from './test/engine-harness.ts'

let harness: EngineHarness
beforeEach(async () => {
  harness = await EngineHarness.start()
})
afterEach(() => harness.dispose())

/** As the deletion does: the entry, then the purge. */
async function remove(): Promise<void> {
  const { log, transcripts, runs } = harness.stores
  const event = { type: 'session.deleted', by: 'ada' } as const
  const { seq } = await log.append('s', 'meta', event, await log.last('s', 'meta'), { rollup: true })
  await transcripts.purge('s', `${log.epoch}.${seq - 1}`)
  await runs.drop('s')
  await log.purge('s', seq)
}

const types = async () => (await harness.entries('s')).map(({ type }) => type)

describe('a run of a session that is deleted', () => {
  it('is over: its model is cut off, and nothing that it said is left', async () => {
    await harness.send('s', 'go')
    const call = await harness.model.next()
    call.text('one')
    await harness.event('s', 'run.output')
    await remove()
    await call.aborted
    await harness.close()
    expect(await reopened()).toEqual(['session.deleted'])
  })

  it('is not begun when it waited for its turn', async () => {
    await harness.send('s', 'first')
    const call = await harness.model.next()
    await harness.send('s', 'second')
    await remove()
    await call.aborted
    await harness.send('other', 'go')
    expect((await harness.model.next()).options.prompt).toEqual(
      expect.arrayContaining([expect.objectContaining({ content: [{ type: 'text', text: 'go' }] })]),
    )
    expect(harness.model.calls).toHaveLength(2)
    expect(await types()).toEqual(['session.deleted'])
  })
})

async function reopened(): Promise<readonly string[]> {
  await harness.open()
  return types()
}
