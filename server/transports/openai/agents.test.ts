// Requests as real agents and frameworks send them, recorded from these versions: Codex CLI 0.171 offers tools that are not
// functions; llama-index-llms-openai-like 0.8.1 asks for /v1/completions; @langchain/openai 1.6.0 sends its defaults.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { demoText } from '../../model/demo-answer.ts'
import { OpenAiHarness } from './test/openai-harness.ts'

let h: OpenAiHarness
beforeAll(async () => {
  h = await OpenAiHarness.open()
})
afterAll(() => h.close())

const ANSWER = '/demo count=5 rate=0'
const SCHEMA = {
  type: 'object',
  properties: { cmd: { type: 'string' } },
  required: ['cmd'],
  additionalProperties: false,
}

/** The data of each event. */
async function events(answer: Response): Promise<Record<string, unknown>[]> {
  expect(answer.status).toBe(200)
  const lines = (await answer.text()).split('\n').filter((line) => line.startsWith('data: {'))
  return lines.map((line) => JSON.parse(line.slice('data: '.length)) as Record<string, unknown>)
}

describe('Codex', () => {
  const functions = [
    { type: 'function', name: 'exec_command', description: 'Runs.', strict: false, parameters: SCHEMA },
  ]
  const others = [
    {
      type: 'namespace',
      name: 'multi_agent_v1',
      description: 'Agents.',
      tools: [{ type: 'function', name: 'spawn_agent', strict: false, parameters: SCHEMA }],
    },
    { type: 'web_search', external_web_access: false },
  ]
  const id = '01a2337d-77b8-7741-9f42-4662efd411b6'
  const request = {
    model: 'demo',
    stream: true,
    input: [
      {
        type: 'message',
        id: 'm1',
        role: 'developer',
        content: [{ type: 'input_text', text: 'The sandbox is read-only.' }],
      },
      { type: 'message', id: 'm2', role: 'user', content: [{ type: 'input_text', text: ANSWER }] },
    ],
    tools: [...functions, ...others],
    tool_choice: 'auto',
    parallel_tool_calls: true,
    reasoning: { summary: 'auto' },
    store: false,
    include: ['reasoning.encrypted_content'],
    prompt_cache_key: id,
    client_metadata: { session_id: id, 'x-codex-window-id': `${id}:0` },
  }

  it('gets its functions, without its other tools', async () => {
    const last = (await events(await h.post('/v1/responses', request))).at(-1)
    expect(last).toMatchObject({
      type: 'response.completed',
      response: {
        tools: [expect.objectContaining({ name: 'exec_command', strict: false })],
        parallel_tool_calls: true,
        reasoning: { effort: null, summary: 'auto' },
        store: false,
      },
    })
  })

  it('gets an error instead if nothing else is left, or if the model must call a tool', async () => {
    for (const [more, param] of [
      [{ tools: others }, 'tools[0].type'],
      [{ tool_choice: 'required' }, 'tools[1].type'],
    ] as const) {
      const answer = await h.post('/v1/responses', { ...request, ...more })
      expect(answer.status).toBe(400)
      expect(await answer.json()).toMatchObject({ error: { param, message: expect.stringContaining('function') } })
    }
  })

  it('continues with the results of its calls', async () => {
    const call = { id: 'fc_1', call_id: 'call_1', name: 'exec_command', arguments: '{"cmd":"ls"}', status: 'completed' }
    const more = [
      { type: 'function_call', ...call },
      { type: 'function_call_output', id: 'fco_1', call_id: 'call_1', output: 'a.ts' },
    ]
    const input = [{ role: 'user', content: '/demo tool=exec_command count=2 rate=0' }, ...more]
    const last = (await events(await h.post('/v1/responses', { ...request, input }))).at(-1)
    expect(last).toMatchObject({ response: { output: [{ content: [{ text: expect.stringContaining('a.ts') }] }] } })
  })

  it('must call only a tool that exists', async () => {
    for (const more of [
      { tools: [], tool_choice: 'required' },
      { tool_choice: { type: 'function', name: 'web_search' } },
    ]) {
      const answer = await h.post('/v1/responses', { ...request, ...more })
      expect(answer.status).toBe(400)
      expect(await answer.json()).toMatchObject({ error: { param: 'tool_choice' } })
    }
  })
})

describe('llama-index', () => {
  const request = { model: 'demo', prompt: `user: ${ANSWER}\nassistant: `, stream: false, temperature: 0.1 }
  const prompt = { ...request, prompt: ANSWER }

  it('gets a completion', async () => {
    const answer = await h.post('/v1/completions', prompt)
    expect(await answer.json()).toEqual({
      id: expect.stringMatching(/^cmpl-run_/),
      object: 'text_completion',
      created: expect.any(Number),
      model: 'demo',
      choices: [{ index: 0, text: demoText(ANSWER), logprobs: null, finish_reason: 'stop' }],
      usage: expect.objectContaining({ completion_tokens: 5 }),
    })
    expect((await h.post('/v1/completions', request)).status).toBe(200)
  })

  it('gets its chunks, and the usage on request', async () => {
    const chunks = await events(
      await h.post('/v1/completions', {
        ...prompt,
        prompt: [ANSWER],
        stream: true,
        stream_options: { include_usage: true },
      }),
    )
    const choices = chunks.flatMap((chunk) => chunk.choices as { text: string; finish_reason: string | null }[])
    expect(choices.map(({ text }) => text).join('')).toBe(demoText(ANSWER))
    expect(choices.at(-1)).toEqual({ index: 0, text: '', logprobs: null, finish_reason: 'stop' })
    expect(choices.slice(0, -1).every(({ text, finish_reason }) => text !== '' && finish_reason === null)).toBe(true)
    expect(chunks.at(-1)).toMatchObject({ object: 'text_completion', choices: [], usage: { completion_tokens: 5 } })
  })

  it('gets an error in the format of the API', async () => {
    const failed = await h.post('/v1/completions', { ...prompt, prompt: '/demo count=2 fail=0' })
    expect(failed.status).toBe(502)
    expect(await failed.json()).toMatchObject({ error: { code: 'provider_error' } })
    for (const prompt of [undefined, null, '', ['a', 'b'], [1, 2], [[1]]]) {
      const answer = await h.post('/v1/completions', { model: 'demo', prompt })
      expect(await answer.json()).toMatchObject({ error: { param: expect.stringMatching(/^prompt/) } })
    }
  })
})

describe('LangChain.js', () => {
  it('gets completions of its prompts', async () => {
    const body = { model: 'demo', temperature: 0, n: 1, stream: false, prompt: [ANSWER] }
    expect(await (await h.post('/v1/completions', body)).json()).toMatchObject({
      choices: [{ text: demoText(ANSWER) }],
    })
  })

  it('gets responses with an empty text and a strict that is null', async () => {
    const tools = [{ type: 'function', name: 'look_up', parameters: SCHEMA, strict: null }]
    const answer = await h.post('/v1/responses', { model: 'demo', input: ANSWER, stream: false, tools, text: {} })
    expect(await answer.json()).toMatchObject({ status: 'completed', tools: [{ name: 'look_up', strict: false }] })
  })
})
