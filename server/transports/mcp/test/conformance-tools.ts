// The tools that the official conformance suite calls, as its scenarios describe them.
import { setTimeout as sleep } from 'node:timers/promises'
import { canElicit } from '../eras.ts'
import type { ExtraCall, ExtraTool } from '../extra-tool.ts'
import { isObject, type Params, RPC, RpcError } from '../rpc.ts'

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=='
const WAV = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA='

const text = (words: string) => ({ type: 'text', text: words })
const says = (words: string): Params => ({ content: [text(words)] })
const image = { type: 'image', data: PNG, mimeType: 'image/png' }
const embedded = (uri: string, mimeType: string, words: string) => ({
  type: 'resource',
  resource: { uri, mimeType, text: words },
})

function tool(name: string, call: (call: ExtraCall) => Promise<Params> | Params): ExtraTool {
  const definition = { name, description: `The fixture ${name}.`, inputSchema: { type: 'object' } }
  return { definition, call: async (given) => call(given) }
}

const ask = (message: string, name: string, type = 'string') => ({
  method: 'elicitation/create',
  params: {
    mode: 'form',
    message,
    requestedSchema: { type: 'object', properties: { [name]: { type } }, required: [name] },
  },
})
const sample = (words: string) => ({
  method: 'sampling/createMessage',
  params: { messages: [{ role: 'user', content: text(words) }], maxTokens: 100 },
})
const roots = { method: 'roots/list', params: {} }

/** A question for each capability that the client has. */
function questions({ capabilities }: ExtraCall, asked: Readonly<Record<string, { readonly method: string }>>): Params {
  const can: Readonly<Record<string, boolean>> = {
    'elicitation/create': canElicit(capabilities),
    'sampling/createMessage': isObject(capabilities.sampling),
    'roots/list': isObject(capabilities.roots),
  }
  const possible = Object.entries(asked).filter(([, { method }]) => can[method] === true)
  if (possible.length > 0) return { resultType: 'input_required', inputRequests: Object.fromEntries(possible) }
  const data = { requiredCapabilities: { elicitation: { form: {} } } }
  throw new RpcError(400, RPC.capabilityMissing, 'The client cannot be asked.', data)
}

/** Asks until all answers are objects. */
function inputTool(name: string, asked: Parameters<typeof questions>[1], done: (answers: Params) => string): ExtraTool {
  return tool(name, (call) => {
    const isDone = Object.keys(asked).every((key) => isObject(call.inputResponses[key]))
    return isDone ? says(done(call.inputResponses)) : questions(call, asked)
  })
}

/** Rounds of questions, with a signed state between them. */
function roundsTool(name: string, rounds: readonly Parameters<typeof questions>[1][], done: string): ExtraTool {
  return tool(name, async (call) => {
    const { requestState, signer } = call
    const round = requestState === undefined ? 0 : await signer.open(String(requestState))
    if (typeof round !== 'number') throw new RpcError(200, RPC.invalidParams, 'The state was changed.')
    const last = rounds[round - 1] ?? {}
    const isAnswered = Object.keys(last).every((key) => isObject(call.inputResponses[key]))
    const next = isAnswered ? round : round - 1
    const asked = rounds[next]
    if (asked === undefined) return says(done)
    return { ...questions(call, asked), requestState: await signer.sign(next + 1) }
  })
}

const NAME = ask('What is your name?', 'name')

export const CONFORMANCE_TOOLS: readonly ExtraTool[] = [
  tool('test_simple_text', () => says('This is a simple text response for testing.')),
  tool('test_image_content', () => ({ content: [image] })),
  tool('test_audio_content', () => ({ content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }] })),
  tool('test_embedded_resource', () => ({
    content: [embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')],
  })),
  tool('test_multiple_content_types', () => ({
    content: [
      text('Multiple content types test:'),
      image,
      embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
    ],
  })),
  tool('test_error_handling', () => ({
    ...says('This tool intentionally returns an error for testing'),
    isError: true,
  })),
  tool('test_tool_with_progress', async ({ progressToken, notify }) => {
    for (const progress of [0, 50, 100]) {
      if (progressToken !== undefined) notify('notifications/progress', { progressToken, progress, total: 100 })
      if (progress < 100) await sleep(50)
    }
    return says('done')
  }),
  tool('greet', ({ arguments: { name } }) => says(`Hello, ${name}!`)),
  tool('test_logging_tool', () => says('This tool logs nothing.')),
  tool('test_missing_capability', (call) => {
    if (isObject(call.capabilities.sampling)) return says('done')
    const data = { requiredCapabilities: { sampling: {} } }
    throw new RpcError(400, RPC.capabilityMissing, 'The client must be able to sample.', data)
  }),
  inputTool('test_streaming_elicitation', { name: NAME }, () => 'done'),
  inputTool('test_input_required_result_elicitation', { user_name: NAME }, ({ user_name: answer }) => {
    const { content } = answer as { content?: { name?: string } }
    return `Hello, ${content?.name ?? ''}!`
  }),
  inputTool(
    'test_input_required_result_sampling',
    { capital_question: sample('What is the capital of France?') },
    (answers) => JSON.stringify(answers),
  ),
  inputTool('test_input_required_result_list_roots', { client_roots: roots }, (answers) => JSON.stringify(answers)),
  inputTool(
    'test_input_required_result_capabilities',
    { user_name: NAME, capital_question: sample('What is the capital of France?') },
    () => 'done',
  ),
  roundsTool(
    'test_input_required_result_request_state',
    [{ confirm: ask('Please confirm', 'ok', 'boolean') }],
    'state-ok',
  ),
  roundsTool(
    'test_input_required_result_multiple_inputs',
    [{ user_name: NAME, greeting: sample('Generate a greeting'), client_roots: roots }],
    'done',
  ),
  roundsTool(
    'test_input_required_result_multi_round',
    [
      { step1: ask('Step 1: What is your name?', 'name') },
      { step2: ask('Step 2: What is your favorite color?', 'color') },
    ],
    'done',
  ),
  roundsTool(
    'test_input_required_result_tampered_state',
    [{ confirm: ask('Please confirm', 'ok', 'boolean') }],
    'done',
  ),
]
