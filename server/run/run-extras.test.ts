// Outputs that are not text, from models and from server tools, in a real log: streamed arguments, sources, files, data and progress.
import { type Event, OUTPUT_LIMITS, type RunOutput } from '@parley/protocol'
import { afterEach, expect, it } from 'vitest'
import { z } from 'zod'
import { defineTool, type ToolContext } from '../tool/define-tool.ts'
import { EngineHarness, type HarnessOptions } from './test/engine-harness.ts'

let h: EngineHarness
/** Every event of the session, also those that compaction removes. */
let seen: Event[]
afterEach(async () => {
  await h.dispose()
})

function toolThat(execute: (context: ToolContext) => unknown) {
  return defineTool({ name: 'work', inputSchema: z.object({}), execute: async (_, context) => execute(context) })
}

async function asked(options: HarnessOptions = {}) {
  h = await EngineHarness.start(options)
  const all: Event[] = []
  seen = all
  const entries = (batch: readonly { readonly event: Event }[]) => all.push(...batch.map(({ event }) => event))
  await h.stores.log.follow('s', `${h.stores.log.epoch}.0`, { entries })
  await h.send('s', 'go')
  return h.model.next()
}

/** The model calls `work`, and then says that it is done. @returns the log, and what the model got */
async function worked(execute: (context: ToolContext) => unknown) {
  const first = await asked({ serverTools: [toolThat(execute)] })
  first.tool('work', {})
  first.finish('tool-calls')
  const second = await h.model.next()
  second.text('done')
  second.finish()
  await h.event('s', 'run.ended')
  return { events: seen, prompt: second.options.prompt }
}

const outputs = (events: readonly Event[]): RunOutput[] => events.filter((event) => event.type === 'run.output')
const indexes = (events: readonly Event[]): number[] => outputs(events).map(({ index }) => index)

it('stores arguments while the model writes them, under the id of the call that follows, without half characters', async () => {
  const call = await asked({ serverTools: [toolThat(() => 'ok')] })
  call.part({ type: 'tool-input-start', id: 'p1', toolName: 'work' })
  for (const delta of ['{"a":"\ud83d', '\ude00"', '}']) {
    call.part({ type: 'tool-input-delta', id: 'p1', delta })
  }
  call.tool('work', '{"a":"😀"}', 'p1')
  call.finish('tool-calls')
  const called = await h.event('s', 'tool.called')
  const streamed = outputs(seen)
  expect(streamed.map(({ text }) => text).join('')).toBe('{"a":"😀"}')
  expect(streamed[0]).toMatchObject({ kind: 'input', call: called.call, name: 'work', index: 0 })
  expect(streamed.slice(1).every((output) => output.kind === 'input' && output.call === called.call)).toBe(true)
  expect(called.next).toBe(streamed.length)
  const last = await h.model.next()
  last.finish()
  const ended = await h.event('s', 'run.ended')
  expect(ended.output?.map(({ type }) => type)).toEqual(['input', 'tool'])
})

it('counts streamed arguments against the limit of output tokens', async () => {
  const call = await asked({ serverTools: [toolThat(() => 'ok')], limits: { outputTokens: 5 } })
  call.part({ type: 'tool-input-start', id: 'p1', toolName: 'work' })
  for (let at = 0; at < 8; at += 1) call.part({ type: 'tool-input-delta', id: 'p1', delta: `${at}` })
  await call.aborted
  expect((await h.event('s', 'run.ended')).error?.code).toBe('token_limit')
})

it('stores the sources and files of a model, and gives it only its files back', async () => {
  const call = await asked()
  call.text('See')
  call.part({ type: 'source', sourceType: 'url', id: '1', url: 'https://example.com/a', title: 'A' })
  call.part({ type: 'source', sourceType: 'document', id: '2', mediaType: 'text/plain', title: 'no address' })
  call.part({ type: 'file', mediaType: 'image/png', data: 'AAAA' })
  call.part({ type: 'file', mediaType: 'image/png', data: 'B'.repeat(OUTPUT_LIMITS.runFileChars) })
  call.finish()
  const { output } = await h.event('s', 'run.ended')
  expect(output).toEqual([
    { type: 'text', text: 'See', index: 0, lengths: [3] },
    { type: 'source', url: 'https://example.com/a', title: 'A', text: '', index: 1, lengths: [0] },
    { type: 'file', mediaType: 'image/png', url: 'data:image/png;base64,AAAA', text: '', index: 2, lengths: [0] },
  ])
  await h.send('s', 'again')
  const next = await h.model.next()
  expect(next.options.prompt.find(({ role }) => role === 'assistant')?.content).toEqual([
    { type: 'text', text: 'See' },
    { type: 'file', mediaType: 'image/png', data: 'AAAA' },
  ])
  next.finish()
})

it('stores the data and progress of a server tool before its result, and the newest of an id last', async () => {
  const { events, prompt } = await worked(async ({ data, progress }) => {
    progress({ text: 'begins', done: 0, total: 2 })
    for (let at = 0; at < 50; at += 1) data('chart', { at }, { id: 'c' })
    data('note', 'once')
    return 'ok'
  })
  const shown = outputs(events).filter((output) => output.kind === 'data')
  expect(shown.at(0)).toMatchObject({ name: 'chart', id: 'c', data: { at: 0 }, text: '' })
  expect(shown.filter(({ id }) => id === 'c').at(-1)?.data).toEqual({ at: 49 })
  expect(shown.filter(({ id }) => id === 'c').length).toBeLessThan(5)
  expect(shown.find(({ name }) => name === 'note')?.data).toBe('once')
  expect(indexes(events)).toEqual(indexes(events).map((_, at) => at))
  const types = events.map(({ type }) => type)
  expect(types.indexOf('tool.progress')).toBeGreaterThan(types.indexOf('tool.claimed'))
  expect(types.indexOf('tool.progress')).toBeLessThan(types.indexOf('tool.result'))
  const ended = events.find((event) => event.type === 'run.ended')
  const charts = ended?.output?.filter((part) => part.type === 'data' && part.id === 'c') ?? []
  expect(charts.flatMap((part) => ('data' in part ? [part.data] : []))).toEqual([{ at: 49 }])
  expect(JSON.stringify(prompt)).not.toContain('once')
})

it('gives a tool typed errors for too much data, for values that are not JSON, and for invalid progress', async () => {
  const caught: unknown[] = []
  const attempt = (action: () => void): void => {
    try {
      action()
    } catch (error) {
      caught.push(error instanceof TypeError ? 'TypeError' : (error as { code?: unknown }).code)
    }
  }
  const { events } = await worked(({ data, progress }) => {
    attempt(() => data('big', 'x'.repeat(OUTPUT_LIMITS.dataBytes)))
    attempt(() => data('none', undefined))
    attempt(() => data('deep', JSON.parse(`${'['.repeat(600)}${']'.repeat(600)}`)))
    attempt(() => data('', 1))
    attempt(() => progress({ done: -1 }))
    attempt(() => progress({}))
    const large = 'x'.repeat(OUTPUT_LIMITS.dataBytes - 2)
    for (let at = 0; at < 5; at += 1) attempt(() => data('large', large))
    for (let at = 0; at < 130; at += 1) attempt(() => data('many', null))
    return 'ok'
  })
  expect(caught.slice(0, 7)).toEqual([
    'too_large',
    'TypeError',
    'TypeError',
    'TypeError',
    'TypeError',
    'TypeError',
    'too_large',
  ])
  expect(outputs(events).length).toBeLessThanOrEqual(OUTPUT_LIMITS.runExtras)
})

it('keeps what a tool has shown, and drops unfinished arguments, when another driver restarts the step', async () => {
  const first = await asked({
    serverTools: [toolThat(({ data }) => data('chart', 1, { id: 'c' }) ?? 'ok')],
  })
  first.tool('work', {})
  first.finish('tool-calls')
  const second = await h.model.next()
  second.part({ type: 'tool-input-start', id: 'p2', toolName: 'work' })
  second.part({ type: 'tool-input-delta', id: 'p2', delta: '{"a":' })
  await h.event('s', 'run.output', ({ kind }) => kind === 'input')
  await h.close()
  await h.open()
  const third = await h.model.next()
  third.text('done')
  third.finish()
  const { output = [] } = await h.event('s', 'run.ended')
  expect(output.map(({ type }) => type)).toEqual(['tool', 'data', 'text'])
})
