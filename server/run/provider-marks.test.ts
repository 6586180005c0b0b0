// A provider gets back what it wants with a call: in the same run, after another node has taken the run over, and in later turns.
// The stand-in providers refuse every request without it. The same through the OpenAI API: server/transports/openai/marks.test.ts.
import { afterEach, describe, expect, it } from 'vitest'
import { createModelCatalog } from '../model/model-catalog.ts'
import { answerOf, MARKING_PROVIDERS, type MarkingProvider } from '../model/test/marking-provider.ts'
import { provide } from '../model/test/model-at.ts'
import { CALLER, EngineHarness, OTHER } from './test/engine-harness.ts'

const open: EngineHarness[] = []
afterEach(async () => {
  for (const harness of open.splice(0)) await harness.dispose()
})

async function start(provider: MarkingProvider) {
  const bodies: object[] = []
  const server = await provide(answerOf(provider, (body) => bodies.push(body)))
  const [name = ''] = provider.id.split(':')
  const model = createModelCatalog({ model: provider.id, [name]: { url: server.url, key: 'k' } }).get()
  const h = await EngineHarness.start({ model })
  open.push(h)
  await h.service.attach('s', CALLER, [{ name: 'where' }])
  const { run } = await h.send('s', 'go')
  const calls = [
    await h.event('s', 'tool.called', ({ input }) => JSON.stringify(input).includes('Bern')),
    await h.event('s', 'tool.called', ({ input }) => JSON.stringify(input).includes('Oslo')),
  ]
  return { h, run, calls: calls.map(({ call }) => call), bodies }
}

type Started = Awaited<ReturnType<typeof start>>

async function giveResults({ h, run, calls }: Started, caller = CALLER) {
  for (const call of calls) {
    await h.service.result({ type: 'tool.result', id: `r-${call}`, session: 's', call, output: 'here' }, caller)
  }
  return h.event('s', 'run.ended', (event) => event.run === run)
}

const textOf = (output: readonly object[] = []): string =>
  output.map((part) => ('text' in part && 'type' in part && part.type === 'text' ? part.text : '')).join('')

describe.each(MARKING_PROVIDERS.map((provider) => [provider.id, provider] as const))('%s', (_, provider) => {
  it('gets its marks back with the results of the calls, and with the next message', async () => {
    const started = await start(provider)
    const { h, bodies } = started
    const ended = await giveResults(started)
    expect([ended.reason, ended.error, textOf(ended.output)]).toEqual(['completed', undefined, 'Let me see.done'])
    const { run } = await h.send('s', 'thanks')
    expect(await h.event('s', 'run.ended', (event) => event.run === run)).toMatchObject({ reason: 'completed' })
    // No request was repeated without them.
    expect(bodies).toHaveLength(3)
  })

  it('gets its marks back from the node that takes the run over', async () => {
    const started = await start(provider)
    await started.h.close()
    await started.h.open()
    await started.h.service.attach('s', OTHER, [{ name: 'where' }])
    expect(await giveResults(started, OTHER)).toMatchObject({ reason: 'completed', epoch: 2 })
    expect(started.bodies).toHaveLength(2)
  })
})
