// Drivers that die one after the other, at the worst moments. And which stored text a model continues.
import type { OutputPart } from '@parley/protocol'
import { afterEach, describe, expect, it } from 'vitest'
import type { Prefill } from '../model/model.ts'
import { fromParts } from '../session/state/run-output.ts'
import { newRun } from '../session/state/run-record.ts'
import { StorageError } from '../store/ports/errors.ts'
import { defineTool } from '../tool/define-tool.ts'
import { recover } from './recovery.ts'
import { takeOver } from './relayed/take-over.ts'
import { EngineHarness } from './test/engine-harness.ts'

let h: EngineHarness | undefined
afterEach(async () => {
  await h?.dispose()
  h = undefined
})

describe('unfinished output', () => {
  const part = (type: 'text' | 'reasoning', text: string): OutputPart => ({
    type,
    text,
    index: 0,
    lengths: [text.length],
  })
  const modeOf = (prefill: Prefill, ...output: OutputPart[]): string =>
    recover({ ...newRun('r', 'm', 1), epoch: 1, output: fromParts(output) }, { prefill }).mode
  const sentence = part('text', 'One sentence. And')
  const word = part('text', 'One')
  const reasoning = part('reasoning', 'hm. So')
  const call: OutputPart = { type: 'input', call: 'c', name: 'add', text: '{', index: 1, lengths: [1] }

  it.each<[Prefill, string, OutputPart[]]>([
    ['none', 'restart', [sentence]],
    ['text', 'continue', [word]],
    ['text', 'restart', [reasoning, sentence]],
    ['exact', 'continue', [reasoning]],
    ['exact', 'restart', [word, call]],
    ['tail', 'continue', [reasoning, word]],
    ['tail', 'restart', [reasoning]],
    ['tail', 'restart', [part('text', ' ')]],
    ['asked', 'continue', [reasoning, sentence]],
    ['asked', 'continue', [part('text', '一句话。然后')]],
    ['asked', 'continue', [part('text', 'word '.repeat(40))]],
    ['asked', 'restart', [word]],
    ['asked', 'restart', [reasoning]],
    ['asked', 'restart', [sentence, call]],
  ])('of a model with prefill %s: %s', (prefill, mode, output) => {
    expect(modeOf(prefill, ...output)).toBe(mode)
  })

  it('is always dropped if the operator says so', async () => {
    const record = { ...newRun('r', 'm', 1), epoch: 1, output: fromParts([sentence]) }
    const model = { id: 'm', prefill: 'exact' } as Parameters<typeof takeOver>[1]
    expect((await takeOver(record, model, { recovery: 'restart' })).recovery.mode).toBe('restart')
    expect((await takeOver(record, model, { recovery: 'continue' })).recovery.mode).toBe('continue')
  })
})

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
