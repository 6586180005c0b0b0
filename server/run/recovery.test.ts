// Drivers that die one after the other, at the worst moments.
import { afterEach, expect, it } from 'vitest'
import { StorageError } from '../store/ports/errors.ts'
import { defineTool } from '../tool/define-tool.ts'
import { EngineHarness } from './test/engine-harness.ts'

let h: EngineHarness
afterEach(() => h.dispose())

// The next driver found no output, repeated the run from its beginning, and the effects of its tools came twice.
it('keeps complete steps if a driver dies between its restart and the snapshot of these steps', async () => {
  const ran: unknown[] = []
  const noop = defineTool({ name: 'noop', inputSchema: {}, execute: () => ran.push(1) })
  h = await EngineHarness.start({ serverTools: [noop], limits: { storageWaitMs: 0 } })
  await h.send('s', 'go')
  const first = await h.model.next()
  first.text('step one ')
  first.tool('noop', {})
  first.finish('tool-calls')
  const second = await h.model.next()
  second.text('unfinished')
  await h.event('s', 'run.output', ({ kind, text }) => kind === 'text' && text === 'unfinished')
  await h.close()
  await h.open((stores) => {
    const append = stores.log.append.bind(stores.log)
    stores.log.append = async (...given) => {
      if (given[2].type === 'run.snapshot') throw new StorageError('unavailable')
      return append(...given)
    }
  })
  await h.event('s', 'run.started', ({ epoch, mode }) => epoch === 2 && mode === 'restart')
  await h.close()
  await h.open()
  const last = await h.model.next()
  expect(last.options.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool'])
  // Readers get the steps back.
  expect(await h.event('s', 'run.snapshot')).toMatchObject({
    epoch: 3,
    changes: true,
    output: [{ text: 'step one ' }, { type: 'tool' }],
  })
  last.text('step two')
  last.finish()
  const { output } = await h.event('s', 'run.ended')
  expect(output?.map((part) => ('text' in part ? part.text : part.type))).toEqual(['step one ', 'tool', 'step two'])
  expect(ran).toEqual([1])
})
