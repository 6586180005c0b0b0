// The context of a message: the conversation before it, instructions, tools that its sender answers, and sampling options.
import { makeId } from '@parley/protocol'
import { afterEach, expect, it } from 'vitest'
import { CALLER, EngineHarness } from './test/engine-harness.ts'

const open: EngineHarness[] = []
async function start(): Promise<EngineHarness> {
  const harness = await EngineHarness.start()
  open.push(harness)
  return harness
}
afterEach(async () => {
  for (const harness of open.splice(0)) await harness.dispose()
})

const text = (words: string) => [{ type: 'text' as const, text: words }]

it('passes the conversation before it, instructions and sampling to the model', async () => {
  const h = await start()
  await h.send('s', 'and now?', {
    context: {
      instructions: 'Be brief.',
      history: [
        { role: 'assistant', text: 'Welcome.' },
        { role: 'user', content: text('where am I') },
        { role: 'assistant', text: 'let me see', calls: [{ call: 'x1', name: 'where', input: { fine: true } }] },
        { role: 'tool', call: 'x1', output: 'Bern' },
      ],
      sampling: { temperature: 0, stop: ['.'], maxOutputTokens: 7, json: { name: 'place' } },
    },
  })
  const { options } = await h.model.next()
  expect(options).toMatchObject({
    temperature: 0,
    stopSequences: ['.'],
    maxOutputTokens: 7,
    responseFormat: { type: 'json', name: 'place' },
  })
  expect(options.prompt).toEqual([
    { role: 'system', content: 'Be brief.' },
    { role: 'assistant', content: text('Welcome.') },
    { role: 'user', content: text('where am I') },
    {
      role: 'assistant',
      content: [
        ...text('let me see'),
        { type: 'tool-call', toolCallId: 'x1', toolName: 'where', input: { fine: true } },
      ],
    },
    {
      role: 'tool',
      content: [{ type: 'tool-result', toolCallId: 'x1', toolName: 'where', output: { type: 'text', value: 'Bern' } }],
    },
    { role: 'user', content: text('and now?') },
  ])
})

it('ends its run at the tool calls, whose results come with a later message', async () => {
  const h = await start()
  const context = { tools: [{ name: 'where' }], sampling: { toolChoice: 'required' as const } }
  await h.send('s', 'where am I', { context })
  const first = await h.model.next()
  expect(first.options.tools?.map(({ name }) => name)).toEqual(['where'])
  expect(first.options.toolChoice).toEqual({ type: 'required' })
  first.tool('where', { fine: true })
  first.tool('nobody_has_it', {})
  first.finish('tool-calls')
  expect(await h.event('s', 'run.ended')).toMatchObject({ reason: 'completed' })
  const calls = (await h.entries('s')).filter((event) => event.type === 'tool.called')
  expect(calls.map(({ name, where, attempt }) => [name, where, attempt])).toEqual([
    ['where', 'client', 1],
    ['nobody_has_it', 'client', 1],
  ])
  const history = calls.map(({ call, name }) => ({ role: 'tool' as const, call, output: `${name}: Bern` }))
  await h.service.send(
    { type: 'send', id: makeId('c'), session: 's', content: [], context: { ...context, history } },
    CALLER,
  )
  const second = await h.model.next()
  const [asked, called, answered, ...more] = second.options.prompt
  expect([asked?.role, called?.role, answered?.role, more]).toEqual(['user', 'assistant', 'tool', []])
  expect(answered?.content).toMatchObject([
    { toolCallId: calls[0]?.call, output: { value: 'where: Bern' } },
    { toolCallId: calls[1]?.call, output: { value: 'nobody_has_it: Bern' } },
  ])
  second.text('Bern')
  second.finish()
  await h.event('s', 'run.ended', ({ run }) => run !== calls[0]?.run)
})

it('fails the run if the model does not have the tool that it must call', async () => {
  // The option was dropped without a word.
  const h = await start()
  const tools = [{ name: 'where' }]
  for (const context of [
    { sampling: { toolChoice: 'required' as const } },
    { sampling: { toolChoice: { name: 'when' } }, tools },
  ]) {
    const { run } = await h.send('s', 'go', { context })
    const ended = await h.event('s', 'run.ended', (event) => event.run === run)
    expect(ended).toMatchObject({ reason: 'failed', error: { code: 'option_unsupported' } })
  }
  expect(h.model.calls).toHaveLength(0)
})

it('is completed by the next driver without a model call, if the first died after the tool calls', async () => {
  const h = await start()
  await h.send('s', 'go', { context: { tools: [{ name: 'where' }] } })
  const first = await h.model.next()
  first.tool('where', {})
  await h.event('s', 'tool.called')
  await h.close()
  await h.open()
  expect(await h.event('s', 'run.ended')).toMatchObject({ reason: 'completed' })
  expect(h.model.calls).toHaveLength(1)
})

it('marks an answer that was cut at its length limit', async () => {
  const h = await start()
  await h.send('s', 'go', { context: { sampling: { maxOutputTokens: 1 } } })
  const call = await h.model.next()
  call.text('word')
  call.finish('length')
  expect(await h.event('s', 'run.ended')).toMatchObject({ reason: 'completed', cut: true })
})

it('is part of the command: the same id with another context is refused', async () => {
  const h = await start()
  await h.send('s', 'go', { id: 'c1', context: { instructions: 'One.' } })
  await h.send('s', 'go', { id: 'c1', context: { instructions: 'One.' } })
  const other = h.send('s', 'go', { id: 'c1', context: { instructions: 'Another.' } })
  await expect(other).rejects.toMatchObject({ code: 'command_id_reused' })
})
