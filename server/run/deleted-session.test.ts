// Runs of a deleted session: their model requests are aborted, no driver takes them over, and nothing more is stored.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EngineHarness } from './test/engine-harness.ts'

let harness: EngineHarness
beforeEach(async () => {
  harness = await EngineHarness.start()
})
afterEach(() => harness.dispose())

/** As a deletion does: append the entry, then purge. */
async function remove(): Promise<void> {
  const { log, transcripts, runs } = harness.stores
  const event = { type: 'session.deleted', by: 'ada' } as const
  const { seq } = await log.append('s', 'meta', event, await log.last('s', 'meta'), { rollup: true })
  await transcripts.purge('s', `${log.epoch}.${seq - 1}`)
  await runs.drop('s')
  await log.purge('s', seq)
}

const types = async () => (await harness.entries('s')).map(({ type }) => type)

describe('a run of a deleted session', () => {
  it('ends: its model request is aborted, and none of its output remains', async () => {
    await harness.send('s', 'go')
    const call = await harness.model.next()
    call.text('one')
    await harness.event('s', 'run.output')
    await remove()
    await call.aborted
    await harness.close()
    expect(await reopened()).toEqual(['session.deleted'])
  })

  it('does not start if it was queued', async () => {
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
