// The descriptions of the OpenAI API's routes. The bodies are those of that API; the schemas list the supported fields.
import { type Operations, PARAMETERS } from './operation.ts'

const { key, trace } = PARAMETERS
const id = {
  in: 'path',
  name: 'id',
  description: 'The id of the response.',
  schema: { type: 'string', maxLength: 300 },
} as const
const SENDING = [
  'model_not_allowed',
  'command_id_reused',
  'queue_full',
  'too_many_runs',
  'budget_exceeded',
  'going_away',
  'contended',
  'storage_full',
] as const
const COMPLETING = [
  ...SENDING,
  'provider_error',
  'provider_rate_limited',
  'provider_unauthenticated',
  'provider_timeout',
  'provider_disconnected',
  'provider_garbage',
  'time_limit',
  'content_filtered',
  'option_unsupported',
  'context_exceeded',
  'step_limit',
  'no_active_run',
  'owner_lost',
] as const
const EVENTS = 'Server-sent events in the format of the OpenAI API.'

export const OPENAI_OPERATIONS: Operations = {
  'POST /v1/chat/completions': {
    id: 'createChatCompletion',
    tag: 'openai',
    summary: 'Create a chat completion, whole or streamed',
    description:
      'Each request gets a new session. If the client disconnects before the end, the server cancels the run, ' +
      'unless the request has an Idempotency-Key, or `stream` and `store: true` and its first chunk was sent. ' +
      'With `store: false`, it deletes the session.',
    parameters: [key, trace],
    body: 'ChatRequest',
    answers: { 200: { description: 'The completion.', forms: { 'text/event-stream': EVENTS } } },
    errors: COMPLETING,
    errorForm: 'openai',
  },
  'POST /v1/completions': {
    id: 'createCompletion',
    tag: 'openai',
    summary: 'Create a completion in the former API, whole or streamed',
    description: 'As a chat completion with the prompt as its only message.',
    parameters: [key, trace],
    body: 'CompletionRequest',
    answers: { 200: { description: 'The completion.', forms: { 'text/event-stream': EVENTS } } },
    errors: COMPLETING,
    errorForm: 'openai',
  },
  'POST /v1/responses': {
    id: 'createResponse',
    tag: 'openai',
    summary: 'Create a response: whole, streamed, or in the background',
    description:
      'If the client disconnects before the end, the server cancels the run, unless the request has an ' +
      'Idempotency-Key or `background`, or `stream` without `store: false` and its first event was sent.',
    parameters: [key, trace],
    body: 'ResponseRequest',
    answers: { 200: { description: 'The current state of the response.', forms: { 'text/event-stream': EVENTS } } },
    errors: [...SENDING],
    errorForm: 'openai',
  },
  'GET /v1/responses': {
    id: 'connectResponses',
    tag: 'openai',
    summary: 'Open a WebSocket for responses',
    description: 'Its frames are those of the WebSocket mode of the OpenAI API.',
    answers: { 101: { description: 'The WebSocket is open.' } },
    errors: ['upgrade_required', 'going_away'],
    errorForm: 'openai',
  },
  'GET /v1/responses/:id': {
    id: 'getResponse',
    tag: 'openai',
    summary: 'Get a response, or stream its events',
    parameters: [
      id,
      {
        in: 'query',
        name: 'stream',
        description: 'Whether to stream the events instead of returning the response.',
        schema: { type: 'boolean' },
      },
      {
        in: 'query',
        name: 'starting_after',
        description: 'With `stream`: the `sequence_number` of the last received event.',
        schema: { type: 'integer', minimum: 0 },
      },
    ],
    answers: { 200: { description: 'The response.', forms: { 'text/event-stream': EVENTS } } },
    errors: ['run_not_found', 'going_away', 'contended'],
    errorForm: 'openai',
  },
  'DELETE /v1/responses/:id': {
    id: 'deleteResponse',
    tag: 'openai',
    summary: 'Delete a response with its session',
    description: 'Only if the session has no other message. Otherwise delete the session.',
    parameters: [id],
    answers: { 200: { description: 'The response is deleted.' } },
    errors: ['run_not_found', 'contended', 'storage_full'],
    errorForm: 'openai',
  },
  'POST /v1/responses/input_tokens': {
    id: 'countInputTokens',
    tag: 'openai',
    summary: 'Estimate the tokens of a request',
    description: 'Nothing is stored, and no model is asked. Providers may count differently.',
    body: 'InputTokensRequest',
    answers: { 200: { description: 'The estimated number of tokens, `input_tokens`.' } },
    errors: ['model_not_allowed', 'contended'],
    errorForm: 'openai',
  },
  'GET /v1/responses/:id/input_items': {
    id: 'listInputItems',
    tag: 'openai',
    summary: 'List the items from which a response was generated',
    parameters: [
      id,
      {
        in: 'query',
        name: 'limit',
        description: 'Default: 20.',
        schema: { type: 'integer', minimum: 1, maximum: 100 },
      },
      { in: 'query', name: 'order', description: 'Default: desc.', schema: { enum: ['asc', 'desc'] } },
      {
        in: 'query',
        name: 'after',
        description: 'The id of the last item of the previous page.',
        schema: { type: 'string' },
      },
    ],
    answers: { 200: { description: 'One page of the list.' } },
    errors: ['run_not_found', 'contended'],
    errorForm: 'openai',
  },
  'POST /v1/responses/:id/cancel': {
    id: 'cancelResponse',
    tag: 'openai',
    summary: 'Cancel a response',
    parameters: [id, key],
    answers: { 200: { description: 'The response: cancelled, or unchanged if it had already ended.' } },
    errors: ['run_not_found', 'contended', 'storage_full'],
    errorForm: 'openai',
  },
  'GET /v1/models': {
    id: 'listModels',
    tag: 'openai',
    summary: 'List the available models',
    answers: { 200: { description: 'The models.' } },
    errorForm: 'openai',
  },
  'GET /v1/models/:model': {
    id: 'getModel',
    tag: 'openai',
    summary: 'Get a model',
    parameters: [{ in: 'path', name: 'model', description: 'The id.', schema: { type: 'string', maxLength: 256 } }],
    answers: { 200: { description: 'The model.' } },
    errors: ['model_not_allowed'],
    errorForm: 'openai',
  },
}
