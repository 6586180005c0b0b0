// Arguments of calls are JSON in strings: neither their depth nor their size is limited by the body that contains them.
import { LIMITS } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PlayedModel } from '../../run/test/engine-harness.ts'
import { OpenAiHarness } from './test/openai-harness.ts'

const DEEP = `${'['.repeat(20_000)}${']'.repeat(20_000)}`
const MANY = `[${'0,'.repeat(LIMITS.values / 2)}0]`

const chat = (...all: string[]) => ({
  model: 'played',
  messages: [
    { role: 'user', content: 'read' },
    ...all.flatMap((json, at) => [
      {
        role: 'assistant',
        tool_calls: [{ id: `c${at}`, type: 'function', function: { name: 'read', arguments: json } }],
      },
      { role: 'tool', tool_call_id: `c${at}`, content: 'x' },
    ]),
  ],
})
const response = (...all: string[]) => ({
  model: 'played',
  input: [
    { role: 'user', content: 'read' },
    ...all.flatMap((json, at) => [
      { type: 'function_call', call_id: `c${at}`, name: 'read', arguments: json },
      { type: 'function_call_output', call_id: `c${at}`, output: 'x' },
    ]),
  ],
})
let threads = 0
const agui = (...all: string[]) => ({
  threadId: `t${threads++}`,
  runId: `r${threads}`,
  state: {},
  tools: [],
  context: [],
  forwardedProps: {},
  messages: [
    { id: 'u1', role: 'user', content: 'read' },
    ...all.flatMap((json, at) => [
      {
        id: `a${at}`,
        role: 'assistant',
        toolCalls: [{ id: `c${at}`, type: 'function', function: { name: 'read', arguments: json } }],
      },
      { id: `o${at}`, role: 'tool', toolCallId: `c${at}`, content: 'x' },
    ]),
    { id: 'u2', role: 'user', content: 'continue' },
  ],
})

describe.each([
  ['/v1/chat/completions', chat],
  ['/v1/responses', response],
  ['/v1/ag-ui', agui],
])('the arguments of calls in a request to %s', (path, bodyOf) => {
  const model = new PlayedModel()
  let h: OpenAiHarness
  beforeAll(async () => {
    h = await OpenAiHarness.open({}, { models: { defaultId: 'played', ids: ['played'], get: () => model } })
  })
  afterAll(() => h.close())

  it('are passed on as text if they are nested too deeply', async () => {
    const request = h.post(path, bodyOf(DEEP))
    const next = await Promise.race([
      model.next(),
      request.then(async (answer) => Promise.reject(new Error(`${answer.status} ${await answer.text()}`))),
    ])
    expect(JSON.stringify(next.options.prompt)).toContain(JSON.stringify(DEEP))
    next.text('Done.')
    next.finish()
    expect((await request).status).toBe(200)
  })

  it('have at most as many keys and values together as a body', async () => {
    const answer = await h.post(path, bodyOf(MANY, MANY))
    expect([answer.status, await answer.text()]).toEqual([413, expect.stringContaining('keys and values')])
  })
})
