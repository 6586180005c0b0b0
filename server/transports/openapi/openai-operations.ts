// What is told of the doors that clients of the OpenAI API know. Their bodies are that API's; here stands what is taken of them.
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
const EVENTS = 'Server-sent events, as that API has them.'

export const OPENAI_OPERATIONS: Operations = {
  'POST /v1/chat/completions': {
    id: 'createChatCompletion',
    tag: 'openai',
    summary: 'A chat completion, whole or streamed',
    description:
      'Each has a session of its own. Who goes away in mid-answer cancels it, unless `store` or a key says otherwise.',
    parameters: [key, trace],
    body: 'ChatRequest',
    answers: { 200: { description: 'The completion.', forms: { 'text/event-stream': EVENTS } } },
    errors: [
      ...SENDING,
      'provider_error',
      'provider_rate_limited',
      'provider_unauthenticated',
      'provider_timeout',
      'provider_disconnected',
      'provider_garbage',
      'time_limit',
      'content_filtered',
      'step_limit',
      'no_active_run',
      'owner_lost',
    ],
    errorForm: 'openai',
  },
  'POST /v1/responses': {
    id: 'createResponse',
    tag: 'openai',
    summary: 'A response: whole, streamed, or in the background',
    parameters: [key, trace],
    body: 'ResponseRequest',
    answers: { 200: { description: 'The response as it is.', forms: { 'text/event-stream': EVENTS } } },
    errors: [...SENDING],
    errorForm: 'openai',
  },
  'GET /v1/responses/:id': {
    id: 'getResponse',
    tag: 'openai',
    summary: 'A response as it now is, or its events after one of them',
    parameters: [
      id,
      {
        in: 'query',
        name: 'stream',
        description: 'Its events, from the first or after one.',
        schema: { type: 'boolean' },
      },
      {
        in: 'query',
        name: 'starting_after',
        description: 'With `stream`: the `sequence_number` of the last event that came.',
        schema: { type: 'integer', minimum: 0 },
      },
    ],
    answers: { 200: { description: 'The response.', forms: { 'text/event-stream': EVENTS } } },
    errors: ['run_not_found', 'going_away', 'contended'],
    errorForm: 'openai',
  },
  'POST /v1/responses/:id/cancel': {
    id: 'cancelResponse',
    tag: 'openai',
    summary: 'Cancels a response',
    parameters: [id, key],
    answers: { 200: { description: 'The response, cancelled, or as it had ended before.' } },
    errors: ['run_not_found', 'contended', 'storage_full'],
    errorForm: 'openai',
  },
  'GET /v1/models': {
    id: 'listModels',
    tag: 'openai',
    summary: 'The models on offer',
    answers: { 200: { description: 'A list.' } },
    errorForm: 'openai',
  },
  'GET /v1/models/:model': {
    id: 'getModel',
    tag: 'openai',
    summary: 'One of them',
    parameters: [{ in: 'path', name: 'model', description: 'Its id.', schema: { type: 'string', maxLength: 256 } }],
    answers: { 200: { description: 'The model.' } },
    errors: ['model_not_allowed'],
    errorForm: 'openai',
  },
}
