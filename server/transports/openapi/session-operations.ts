// The descriptions of the session's routes.
import { type Operations, PARAMETERS, type Parameter } from './operation.ts'

const {
  session,
  call,
  connection,
  after,
  wait,
  run,
  children,
  merge,
  key,
  prefer,
  lastEventId,
  ifNoneMatch,
  me,
  trace,
} = PARAMETERS

const limit: Parameter = {
  in: 'query',
  name: 'limit',
  description: 'The maximum number of sessions. Default: 50.',
  schema: { type: 'integer', minimum: 1, maximum: 200 },
}
const before: Parameter = {
  in: 'query',
  name: 'before',
  description: 'The value of `next` in the previous page. Default: start with the newest.',
  schema: { type: 'string', maxLength: 300 },
}

const presence: Parameter = {
  in: 'query',
  name: 'presence',
  description: 'Also return presence: as an event without an id, as a line, or as the field `presence` of a page.',
  schema: { type: 'boolean' },
}

const here: Parameter = {
  in: 'query',
  name: 'here',
  description:
    'For a long poll: the last `presence.tag`. A changed presence then also ends the poll, but not within a second.',
  schema: { type: 'string', maxLength: 64 },
}

const heartbeat: Parameter = {
  in: 'query',
  name: 'heartbeat',
  description:
    'For a stream: the longest silence in seconds, at least 1. By default, and at most, the `heartbeatMs` of `welcome`.',
  schema: { type: 'number', minimum: 1 },
}

const SSE = 'Server-sent events: `id` is the cursor, `event` the type, `data` the entry; comments are heartbeats.'
const NDJSON = 'One frame as JSON per line; empty lines are heartbeats.'
const DONE = ['Parley-Cursor', 'Idempotent-Replayed'] as const
const STORING = ['going_away', 'contended', 'storage_full'] as const
const ANSWERED = { 200: { description: 'The command is stored.', json: 'CommandAnswer' } } as const

export const SESSION_OPERATIONS: Operations = {
  'POST /v1/sessions/:session/messages': {
    id: 'sendMessage',
    tag: 'sessions',
    summary: 'Send a message and get the answer',
    description:
      'With JSON: the result when the run has ended. If it takes longer than `Prefer: wait`, or at once with ' +
      '`respond-async`, the answer is 202 with the job. With server-sent events or NDJSON: a stream of the run’s ' +
      'entries until it has ended. To resume an interrupted stream, use `…/events?run=`, or repeat the request.',
    parameters: [session, heartbeat, key, prefer, lastEventId, me, trace],
    body: 'MessageRequest',
    answers: {
      200: {
        description: 'The result, or the stream.',
        json: 'RunResult',
        forms: { 'text/event-stream': SSE, 'application/x-ndjson': NDJSON },
        headers: ['Content-Location', 'Preference-Applied', ...DONE],
      },
      202: {
        description: 'The run continues as a job.',
        json: 'JobAccepted',
        headers: ['Location', 'Retry-After', 'Preference-Applied', ...DONE],
      },
      204: {
        description: 'The run has no entries after `Last-Event-ID`: do not reconnect.',
      },
    },
    errors: [
      'not_acceptable',
      'run_active',
      'queue_full',
      'too_many_runs',
      'budget_exceeded',
      'model_not_allowed',
      'agent_not_found',
      'command_id_reused',
      'provider_error',
      'provider_rate_limited',
      'provider_unauthenticated',
      'provider_timeout',
      'provider_disconnected',
      'provider_garbage',
      'content_filtered',
      'option_unsupported',
      'context_exceeded',
      'step_limit',
      'token_limit',
      'time_limit',
      'owner_lost',
      ...STORING,
    ],
  },
  'GET /v1/sessions': {
    id: 'listSessions',
    tag: 'sessions',
    summary: 'List the user’s sessions, the most recently active first',
    description: 'The list is updated within about a second.',
    parameters: [limit, before],
    answers: {
      200: {
        description: 'A page of sessions; `next` is the `before` of the next page.',
        json: 'SessionsAnswer',
      },
    },
  },
  'DELETE /v1/sessions/:session': {
    id: 'deleteSession',
    tag: 'sessions',
    summary: 'Permanently delete a session for everyone',
    description:
      'Owners only. The server detaches all readers, ends the runs, and purges the content. The id cannot be used ' +
      'again until the retention time has passed.',
    parameters: [session, key],
    answers: { 204: { description: 'The session is deleted.' } },
    errors: ['session_not_found', 'contended', 'storage_full'],
  },
  'GET /v1/sessions/:session': {
    id: 'getSession',
    tag: 'sessions',
    summary: 'Get the current state of a session',
    description:
      'The newest messages and answers, present clients, active and queued runs, and the cursor for `…/events`.',
    parameters: [session, ifNoneMatch],
    answers: {
      200: { description: 'The session.', json: 'SessionSnapshot', headers: ['ETag'] },
      304: { description: 'The session has not changed.', headers: ['ETag'] },
    },
    errors: ['session_not_found', 'contended'],
  },
  'GET /v1/sessions/:session/events': {
    id: 'readEvents',
    tag: 'sessions',
    summary: 'Read the entries of a session’s log after a cursor',
    description:
      '`Accept` selects the form: server-sent events or NDJSON for a continuous stream, or JSON for one page, ' +
      'which becomes a long poll with `wait`. All forms accept the same cursors, so a client may switch between ' +
      'them at any point.',
    parameters: [session, after, wait, heartbeat, run, children, merge, presence, here, lastEventId, ifNoneMatch, me],
    answers: {
      200: {
        description: 'The entries.',
        json: 'EventsPage',
        forms: { 'text/event-stream': SSE, 'application/x-ndjson': NDJSON },
        headers: ['ETag', 'Retry-After'],
      },
      204: { description: 'The run has no entries after the cursor: do not reconnect.' },
      304: { description: 'There are no new entries.', headers: ['ETag', 'Retry-After'] },
    },
    errors: ['invalid_cursor', 'run_not_found', 'not_acceptable', 'going_away', 'contended'],
  },
  'POST /v1/sessions/:session/cancel': {
    id: 'cancelRun',
    tag: 'sessions',
    summary: 'Cancel a run, by default the active one',
    description: 'After the answer, the server stores no further output of the run.',
    parameters: [session, key],
    body: 'CancelRequest',
    answers: ANSWERED,
    errors: ['no_active_run', 'run_not_found', 'command_id_reused', ...STORING],
  },
  'POST /v1/sessions/:session/tools/:call/claim': {
    id: 'claimCall',
    tag: 'sessions',
    summary: 'Claim a tool call; the first claim wins',
    parameters: [session, call, key, me],
    body: 'ClaimRequest',
    answers: ANSWERED,
    errors: [
      'call_not_found',
      'call_ended',
      'call_claimed',
      'approval_pending',
      'tool_not_declared',
      'invalid_tool_input',
      ...STORING,
    ],
  },
  'POST /v1/sessions/:session/tools/:call/result': {
    id: 'bringResult',
    tag: 'sessions',
    summary: 'Submit the result of a tool call; the first result wins',
    parameters: [session, call, key, me],
    body: 'ResultRequest',
    answers: ANSWERED,
    errors: [
      'call_not_found',
      'call_ended',
      'call_not_claimed',
      'approval_pending',
      'tool_not_declared',
      'invalid_tool_input',
      'invalid_tool_output',
      ...STORING,
    ],
  },
  'POST /v1/sessions/:session/tools/:call/decision': {
    id: 'decideCall',
    tag: 'sessions',
    summary: 'Approve or deny a tool call; the first decision wins',
    parameters: [session, call, key],
    body: 'DecisionRequest',
    answers: ANSWERED,
    errors: ['call_not_found', 'call_ended', 'approval_not_needed', 'already_decided', ...STORING],
  },
  'POST /v1/sessions/:session/tools/:call/answer': {
    id: 'answerQuestion',
    tag: 'sessions',
    summary: 'Answer a question of a tool; the first answer wins',
    parameters: [session, call, key],
    body: 'AnswerRequest',
    answers: ANSWERED,
    errors: ['call_not_found', 'call_ended', 'question_not_found', 'question_closed', 'invalid_answer', ...STORING],
  },
  'POST /v1/sessions/:session/presence': {
    id: 'showPresence',
    tag: 'sessions',
    summary: 'Show a presence state to the others in a session',
    description: 'For the connection in `Parley-Connection`, until 10 s after its last stream or poll.',
    parameters: [session, me],
    body: 'PresenceRequest',
    answers: { 204: { description: 'The state is shown.' } },
    errors: ['too_large'],
  },
  'PUT /v1/sessions/:session/connections/:connection': {
    id: 'declareTools',
    tag: 'sessions',
    summary: 'Declare the tools that this client can run',
    description: 'The tools are available while a stream or poll names the connection, and for `ttlMs` afterwards.',
    parameters: [session, connection],
    body: 'ConnectionRequest',
    answers: { 200: { description: 'The tools are available.', json: 'ConnectionAnswer' } },
    errors: ['invalid_tool', 'going_away', 'contended', 'storage_full'],
  },
  'DELETE /v1/sessions/:session/connections/:connection': {
    id: 'leaveSession',
    tag: 'sessions',
    summary: 'Withdraw the tools; calls that this client had claimed are offered again',
    parameters: [session, connection],
    answers: { 204: { description: 'The connection is removed.' } },
  },
}
