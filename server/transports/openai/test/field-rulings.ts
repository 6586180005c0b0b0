// How the server treats each field of OpenAI's requests. The types are those of OpenAI's newest SDK: a field, or a type of an
// item, that it adds fails `npm run check` until it has a ruling here. PROTOCOL.md has the same rulings, with reasons.
// `openai-newest` is that SDK: it does not run on Node 20, so other tests use an older one as `openai`.
import type OpenAI from 'openai-newest'

/**
 * `passed on`: to the model, in its terms. `honoured`: by Parley itself. `harmless`: ignored, without effect on the answer.
 * `refused`: an error names the field, unless it is null or asks for nothing, such as `n: 1`.
 */
export type Ruling = 'passed on' | 'honoured' | 'harmless' | 'refused'

/** The objects in a type, also in its arrays; not those with names that the caller makes up. */
type Objects<T> = T extends readonly (infer E)[]
  ? Objects<E>
  : T extends object
    ? string extends keyof T
      ? never
      : T
    : never
type Values<T> = T extends readonly (infer E)[] ? Values<E> : T extends string ? (string extends T ? never : T) : never
type Keys<T> = T extends unknown ? keyof T : never
type At<T, K> = T extends unknown ? (K extends keyof T ? NonNullable<T[K]> : never) : never
/** The field that tells the members of a union apart. */
type Tag<T> = 'type' extends Keys<T> ? 'type' : 'role' extends Keys<T> ? 'role' : never
type Member<T, D, V> = T extends unknown ? (V extends At<T, D> ? T : never) : never

type Table<T, D = never> = { readonly [K in Exclude<Keys<T>, D>]-?: Rulings<At<T, K>> }
type ByTag<T, D extends PropertyKey> = {
  readonly [V in At<T, D> & string]:
    | 'refused'
    | 'harmless'
    | ([Exclude<Keys<Member<T, D, V>>, D>] extends [never] ? Ruling : Table<Member<T, D, V>, D>)
}
/** An object needs a ruling for each of its fields, unless none of them has an effect. */
export type Rulings<T> = [Objects<T>] extends [never]
  ? Ruling | { readonly [V in Values<T>]: Ruling }
  :
      | 'refused'
      | 'harmless'
      | ([Tag<Objects<T>>] extends [never] ? Table<Objects<T>> : ByTag<Objects<T>, Tag<Objects<T>>>)

const TEXT = { text: { text: 'passed on', prompt_cache_breakpoint: 'harmless' } } as const
const CHAT_FUNCTION = {
  name: 'honoured',
  description: 'passed on',
  parameters: 'passed on',
  strict: 'passed on',
} as const

export const CHAT = {
  model: 'honoured',
  messages: {
    developer: { content: TEXT, name: 'harmless' },
    system: { content: TEXT, name: 'harmless' },
    user: {
      content: {
        ...TEXT,
        image_url: { image_url: { url: 'passed on', detail: 'passed on' }, prompt_cache_breakpoint: 'harmless' },
        input_audio: { input_audio: { data: 'passed on', format: 'passed on' }, prompt_cache_breakpoint: 'harmless' },
        file: {
          file: { file_data: 'passed on', filename: 'passed on', file_id: 'refused' },
          prompt_cache_breakpoint: 'harmless',
        },
      },
      name: 'harmless',
    },
    assistant: {
      content: { ...TEXT, refusal: { refusal: 'passed on' } },
      refusal: 'passed on',
      tool_calls: {
        function: { id: 'honoured', function: { name: 'passed on', arguments: 'passed on' } },
        custom: 'refused',
      },
      name: 'harmless',
      audio: 'refused',
      function_call: 'refused',
    },
    tool: { content: TEXT, tool_call_id: 'honoured' },
    function: 'refused',
  },
  stream: 'honoured',
  stream_options: { include_usage: 'honoured', include_obfuscation: 'refused' },
  store: 'honoured',
  metadata: 'honoured',
  max_tokens: 'honoured',
  max_completion_tokens: 'honoured',
  temperature: 'passed on',
  top_p: 'passed on',
  presence_penalty: 'passed on',
  frequency_penalty: 'passed on',
  seed: 'passed on',
  stop: 'passed on',
  logit_bias: 'passed on',
  reasoning_effort: 'passed on',
  verbosity: 'passed on',
  parallel_tool_calls: 'passed on',
  service_tier: 'passed on',
  prompt_cache_key: 'passed on',
  prompt_cache_retention: 'passed on',
  safety_identifier: 'passed on',
  user: 'passed on',
  response_format: {
    text: 'passed on',
    json_object: 'passed on',
    json_schema: {
      json_schema: { name: 'passed on', description: 'passed on', schema: 'passed on', strict: 'passed on' },
    },
  },
  tools: { function: { function: CHAT_FUNCTION }, custom: 'refused' },
  tool_choice: { function: { function: { name: 'passed on' } }, allowed_tools: 'refused', custom: 'refused' },
  prediction: 'harmless',
  prompt_cache_options: { mode: 'harmless', ttl: 'harmless' },
  n: 'refused',
  logprobs: 'refused',
  top_logprobs: 'refused',
  modalities: { text: 'honoured', audio: 'refused' },
  audio: 'refused',
  functions: 'refused',
  function_call: 'refused',
  moderation: 'refused',
  web_search_options: 'refused',
} as const satisfies Rulings<OpenAI.ChatCompletionCreateParams>

export const COMPLETION = {
  model: 'honoured',
  prompt: 'passed on',
  stream: 'honoured',
  stream_options: { include_usage: 'honoured', include_obfuscation: 'refused' },
  max_tokens: 'honoured',
  temperature: 'passed on',
  top_p: 'passed on',
  presence_penalty: 'passed on',
  frequency_penalty: 'passed on',
  seed: 'passed on',
  stop: 'passed on',
  logit_bias: 'passed on',
  user: 'passed on',
  n: 'refused',
  best_of: 'refused',
  echo: 'refused',
  logprobs: 'refused',
  suffix: 'refused',
} as const satisfies Rulings<OpenAI.CompletionCreateParams>

const INPUT = {
  input_text: { text: 'passed on', prompt_cache_breakpoint: 'harmless' },
  input_image: { image_url: 'passed on', detail: 'passed on', file_id: 'refused', prompt_cache_breakpoint: 'harmless' },
  input_file: {
    file_data: 'passed on',
    filename: 'passed on',
    file_id: 'refused',
    file_url: 'passed on',
    detail: 'harmless',
    prompt_cache_breakpoint: 'harmless',
  },
} as const

export const RESPONSE = {
  model: 'honoured',
  input: {
    message: {
      role: 'passed on',
      content: {
        ...INPUT,
        output_text: { text: 'passed on', annotations: 'harmless', logprobs: 'harmless' },
        refusal: { refusal: 'passed on' },
      },
      id: 'harmless',
      phase: 'harmless',
      status: 'harmless',
    },
    function_call: {
      call_id: 'honoured',
      name: 'passed on',
      arguments: 'passed on',
      id: 'harmless',
      status: 'harmless',
      namespace: 'harmless',
      caller: 'harmless',
      async: 'refused',
    },
    function_call_output: {
      call_id: 'honoured',
      output: INPUT,
      id: 'harmless',
      status: 'harmless',
      name: 'harmless',
      namespace: 'harmless',
      caller: 'harmless',
    },
    item_reference: { id: 'honoured' },
    reasoning: {
      encrypted_content: 'passed on',
      id: 'harmless',
      summary: 'harmless',
      content: 'harmless',
      status: 'harmless',
    },
    additional_tools: 'refused',
    apply_patch_call: 'refused',
    apply_patch_call_output: 'refused',
    code_interpreter_call: 'refused',
    compaction: 'refused',
    compaction_trigger: 'refused',
    configuration_update: 'refused',
    computer_call: 'refused',
    computer_call_output: 'refused',
    custom_tool_call: 'refused',
    custom_tool_call_output: 'refused',
    file_search_call: 'refused',
    image_generation_call: 'refused',
    local_shell_call: 'refused',
    local_shell_call_output: 'refused',
    mcp_approval_request: 'refused',
    mcp_approval_response: 'refused',
    mcp_call: 'refused',
    mcp_list_tools: 'refused',
    program: 'refused',
    program_output: 'refused',
    shell_call: 'refused',
    shell_call_output: 'refused',
    tool_search_call: 'refused',
    tool_search_output: 'refused',
    web_search_call: 'refused',
  },
  instructions: 'passed on',
  previous_response_id: 'honoured',
  stream: 'honoured',
  stream_options: { include_obfuscation: 'refused' },
  background: 'honoured',
  store: 'honoured',
  metadata: 'honoured',
  max_output_tokens: 'honoured',
  truncation: 'honoured',
  temperature: 'passed on',
  top_p: 'passed on',
  reasoning: {
    effort: 'passed on',
    summary: 'passed on',
    generate_summary: 'passed on',
    mode: 'passed on',
    context: { auto: 'harmless', current_turn: 'honoured', all_turns: 'refused' },
  },
  text: {
    format: {
      text: 'passed on',
      json_object: 'passed on',
      json_schema: { name: 'passed on', description: 'passed on', schema: 'passed on', strict: 'passed on' },
    },
    verbosity: 'passed on',
  },
  parallel_tool_calls: 'passed on',
  service_tier: 'passed on',
  prompt_cache_key: 'passed on',
  prompt_cache_retention: 'passed on',
  safety_identifier: 'passed on',
  user: 'passed on',
  tools: {
    function: {
      name: 'honoured',
      description: 'passed on',
      parameters: 'passed on',
      strict: 'passed on',
      allowed_callers: { direct: 'honoured', programmatic: 'refused' },
      async: 'refused',
      defer_loading: 'harmless',
      output_schema: 'harmless',
    },
    apply_patch: 'refused',
    code_interpreter: 'refused',
    computer: 'refused',
    computer_use_preview: 'refused',
    custom: 'refused',
    file_search: 'refused',
    image_generation: 'refused',
    local_shell: 'refused',
    mcp: 'refused',
    namespace: 'refused',
    programmatic_tool_calling: 'refused',
    shell: 'refused',
    tool_search: 'refused',
    web_search: 'refused',
    web_search_2025_08_26: 'refused',
    web_search_preview: 'refused',
    web_search_preview_2025_03_11: 'refused',
  },
  tool_choice: {
    function: { name: 'passed on' },
    allowed_tools: 'refused',
    apply_patch: 'refused',
    code_interpreter: 'refused',
    computer: 'refused',
    computer_use: 'refused',
    computer_use_preview: 'refused',
    custom: 'refused',
    file_search: 'refused',
    image_generation: 'refused',
    mcp: 'refused',
    programmatic_tool_calling: 'refused',
    shell: 'refused',
    web_search_preview: 'refused',
    web_search_preview_2025_03_11: 'refused',
  },
  include: {
    'reasoning.encrypted_content': 'harmless',
    'message.input_image.image_url': 'harmless',
    'file_search_call.results': 'harmless',
    'web_search_call.results': 'harmless',
    'web_search_call.action.sources': 'harmless',
    'computer_call_output.output.image_url': 'harmless',
    'code_interpreter_call.outputs': 'harmless',
    'message.output_text.logprobs': 'refused',
  },
  max_tool_calls: 'harmless',
  prompt_cache_options: {
    mode: 'harmless',
    ttl: 'harmless',
    prewarm: 'refused',
    comparison_response_id: 'refused',
  },
  background_options: {
    completion_window: { soonest: 'honoured', '2h': 'refused', '8h': 'refused' },
    continuation_id: 'harmless',
  },
  image: { context_compression: { auto: 'harmless', disabled: 'harmless', enabled: 'refused' } },
  access_programs: 'refused',
  top_logprobs: 'refused',
  context_management: 'refused',
  conversation: { id: 'honoured' },
  moderation: 'refused',
  prompt: 'refused',
} as const satisfies Rulings<OpenAI.Responses.ResponseCreateParams>

type Tree = Ruling | { readonly [name: string]: Tree }

/** Each field, or type of an item, with its ruling: names joined with dots. */
export function* flattened(tree: Tree, path = ''): Generator<readonly [string, Ruling]> {
  if (typeof tree === 'string') yield [path, tree]
  else for (const [name, each] of Object.entries(tree)) yield* flattened(each, path === '' ? name : `${path}.${name}`)
}
