// Options that a provider's package cannot pass on: notices at the end of the run, or its failure.
import type { Sampling } from '@parley/protocol'
import { afterEach, expect, it } from 'vitest'
import { modelAt, provide } from '../model/test/model-at.ts'
import { beginSse, readAnswer, sendSse, userPrompt } from '../model/test/provider-server.ts'
import { defineTool } from '../tool/define-tool.ts'
import { ProviderNotices } from './provider-notices.ts'
import { EngineHarness } from './test/engine-harness.ts'

let harness: EngineHarness | undefined
afterEach(async () => harness?.dispose())

const unsupported = (feature: string) => ({ type: 'unsupported' as const, feature })

async function send(sampling: Sampling) {
  harness = await EngineHarness.start()
  await harness.send('s', 'go', { context: { sampling } })
  return harness.model.next()
}

it('reports each option that the sender asked for once, over all model calls', async () => {
  // stop, seed and temperature were dropped without a word.
  const call = await send({ seed: 1, stop: ['.'], temperature: 0, topP: 1 })
  call.warn(
    unsupported('seed'),
    unsupported('stopSequences'),
    unsupported('frequencyPenalty'),
    unsupported('presencePenalty'),
  )
  call.tool('nothing', {})
  call.finish('tool-calls')
  const next = await harness?.model.next()
  const other = { type: 'other' as const, message: 'see https://example.com/x' }
  next?.warn(unsupported('seed'), { type: 'compatibility', feature: 'temperature', details: 'clamped to 1' }, other)
  next?.finish()
  expect(await harness?.event('s', 'run.ended')).toMatchObject({
    reason: 'completed',
    notices: [
      { code: 'option_ignored', option: 'seed' },
      { code: 'option_ignored', option: 'stop' },
      { code: 'option_adapted', option: 'temperature', message: 'clamped to 1' },
      { code: 'provider_warning', message: 'see [removed]' },
    ],
  })
})

it('reports each warning about anything else once, and a limited number', () => {
  const notices = new ProviderNotices()
  const strict = { ...unsupported('strict'), details: 'It will be ignored.' }
  notices.add([
    strict,
    strict,
    { type: 'compatibility', feature: 'thinking' },
    { type: 'other', message: 'x'.repeat(9_000) },
  ])
  expect(notices.all?.notices).toEqual([
    { code: 'provider_warning', message: 'The model does not support: strict. It will be ignored.' },
    { code: 'provider_warning', message: 'Passed on in another form: thinking.' },
    { code: 'provider_warning', message: 'x'.repeat(500) },
  ])
  notices.add(Array.from({ length: 100 }, (_, at) => ({ type: 'other' as const, message: `${at}` })))
  expect(notices.all?.notices).toHaveLength(16)
})

it('has no notices without a warning', async () => {
  const call = await send({ seed: 1 })
  call.warn()
  call.finish()
  expect(await harness?.event('s', 'run.ended')).not.toHaveProperty('notices')
})

it('fails the run, and closes its request, if the sender relies on the option', async () => {
  const call = await send({ json: { schema: { type: 'object' } }, seed: 1 })
  call.warn(unsupported('seed'), unsupported('responseFormat'))
  expect(await harness?.event('s', 'run.ended')).toMatchObject({
    reason: 'failed',
    error: { code: 'option_unsupported', message: 'The model does not support the option json.' },
    notices: [{ code: 'option_ignored', option: 'seed' }],
  })
  await call.aborted
  expect(harness?.model.calls).toHaveLength(1)
})

it('relies on a tool choice other than auto', () => {
  const add = (toolChoice: Sampling['toolChoice']) => () =>
    new ProviderNotices().add([unsupported('toolChoice')], { toolChoice })
  for (const choice of ['required', 'none', { name: 'x' }] as const) {
    expect(add(choice)).toThrow(expect.objectContaining({ code: 'option_unsupported' }))
  }
  expect(add('auto')).not.toThrow()
})

it('relies on one call at a time, and on the bias of words', () => {
  const add = (asked: Sampling) => () => new ProviderNotices().add(Object.keys(asked).map(unsupported), asked)
  for (const asked of [{ parallelToolCalls: false }, { logitBias: { '1': -100 } }]) {
    expect(add(asked)).toThrow(expect.objectContaining({ code: 'option_unsupported' }))
  }
  expect(add({ parallelToolCalls: true, verbosity: 'low', reasoningEffort: 'max' })).not.toThrow()
})

it('knows the warnings of a real package', async () => {
  // OpenAI's Responses API has neither stop sequences nor a seed.
  const server = await provide(({ response }) => {
    beginSse(response)
    sendSse(response, [{ type: 'response.completed', response: { usage: { input_tokens: 1, output_tokens: 1 } } }])
    response.end()
  })
  const options = { prompt: userPrompt('hello'), seed: 1, stopSequences: ['.'] }
  const { parts } = await readAnswer(modelAt(server.url, 'openai'), options)
  const notices = new ProviderNotices()
  for (const part of parts) if (part.type === 'stream-start') notices.add(part.warnings, { seed: 1, stop: ['.'] })
  expect(notices.all?.notices.map(({ option }) => option).sort()).toEqual(['seed', 'stop'])
})

it('offers at most 128 tools, those of other servers last, and says how many are missing', async () => {
  const tool = (name: string) => defineTool({ name, inputSchema: {}, execute: () => null })
  const foreign = [0, 1, 2].map((n) => ({ ...tool(`mcp_${n}`), foreign: true as const }))
  const own = Array.from({ length: 127 }, (_, n) => tool(`own_${n}`))
  harness = await EngineHarness.start({ serverTools: [...foreign, ...own] })
  await harness.send('s', 'go')
  const call = await harness.model.next()
  const offered = call.options.tools?.map(({ name }) => name)
  expect([offered?.length, offered?.at(0), offered?.at(-1)]).toEqual([128, 'own_0', 'mcp_0'])
  call.finish()
  expect(await harness.event('s', 'run.ended')).toMatchObject({ notices: [{ code: 'tools_omitted', count: 2 }] })
})
