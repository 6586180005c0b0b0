// What is told of the session's routes.
import { type Operations, PARAMETERS, type Parameter } from './operation.ts'

const { session, call, connection, after, wait, run, merge, key, prefer, lastEventId, ifNoneMatch, me, trace } =
  PARAMETERS

const limit: Parameter = {
  in: 'query',
  name: 'limit',
  description: 'How many at most. Left out: 50.',
  schema: { type: 'integer', minimum: 1, maximum: 200 },
}
const before: Parameter = {
  in: 'query',
  name: 'before',
  description: '`next` of the page before. Left out: from the newest.',
  schema: { type: 'string', maxLength: 300 },
}

const presence: Parameter = {
  in: 'query',
  name: 'presence',
  description: 'Tell also who is here: an event `presence` without an id, a line, or the field `presence` of a page.',
  schema: { type: 'boolean' },
}

const here: Parameter = {
  in: 'query',
  name: 'here',
  description:
    'Of a page that one waits for: `presence.tag` of the page before. It then comes also when who is here is another, though ' +
    'not within a second.',
  schema: { type: 'string', maxLength: 64 },
}

const SSE = 'Server-sent events: `id` is the cursor, `event` the type, `data` the entry as JSON. A comment every 15 s.'
const NDJSON = 'One frame a line; an empty line every 15 s.'
const DONE = ['Parley-Cursor', 'Idempotent-Replayed'] as const
const STORING = ['going_away', 'contended', 'storage_full'] as const
const ANSWERED = { 200: { description: 'It is done, and durable.', json: 'CommandAnswer' } } as const

export const SESSION_OPERATIONS: Operations = {
  'POST /v1/sessions/:session/messages': {
    id: 'sendMessage',
    tag: 'sessions',
    summary: 'Sends a message, and brings the answer as the client likes it',
    description:
      'JSON: the whole result when the run has ended, or 202 with the job when `Prefer: wait` ran out, or at once with ' +
      '`respond-async`. Server-sent events or lines: what the run puts out, as it does, until it has ended. A client that ' +
      'is cut off goes on at `…/events?run=`, or sends the same request again.',
    parameters: [session, key, prefer, lastEventId, me, trace],
    body: 'MessageRequest',
    answers: {
      200: {
        description: 'The result, or the stream.',
        json: 'RunResult',
        forms: { 'text/event-stream': SSE, 'application/x-ndjson': NDJSON },
        headers: ['Content-Location', 'Preference-Applied', ...DONE],
      },
      202: {
        description: 'The run goes on as a job.',
        json: 'JobAccepted',
        headers: ['Location', 'Retry-After', 'Preference-Applied', ...DONE],
      },
      204: { description: 'All of the run comes before `Last-Event-ID`: do not come back.' },
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
    summary: 'The caller’s sessions, the newest activity first',
    description: 'It follows what happens by about a second.',
    parameters: [limit, before],
    answers: { 200: { description: 'A page of them; `next` names the one after it.', json: 'SessionsAnswer' } },
  },
  'DELETE /v1/sessions/:session': {
    id: 'deleteSession',
    tag: 'sessions',
    summary: 'Deletes the session, for everybody and for good',
    description:
      'For owners. All who read it are detached, its runs end, and what it held is purged. Its id stays taken for as long as ' +
      'entries are kept.',
    parameters: [session, key],
    answers: { 204: { description: 'It is deleted.' } },
    errors: ['session_not_found', 'contended', 'storage_full'],
  },
  'GET /v1/sessions/:session': {
    id: 'getSession',
    tag: 'sessions',
    summary: 'A session as it now is',
    description: 'Its messages with their answers, its members, the run that is active, and the cursor to go on from.',
    parameters: [session, ifNoneMatch],
    answers: {
      200: { description: 'The session.', json: 'SessionSnapshot', headers: ['ETag'] },
      304: { description: 'Nothing has changed.', headers: ['ETag'] },
    },
    errors: ['session_not_found', 'contended'],
  },
  'GET /v1/sessions/:session/events': {
    id: 'readEvents',
    tag: 'sessions',
    summary: 'What is in the session’s log after a cursor',
    description:
      'By `Accept` as server-sent events or lines, which go on, or as one page of JSON, for which one may `wait`. All begin ' +
      'at the same cursors, so that a client may change from one to another anywhere.',
    parameters: [session, after, wait, run, merge, presence, here, lastEventId, ifNoneMatch, me],
    answers: {
      200: {
        description: 'The entries.',
        json: 'EventsPage',
        forms: { 'text/event-stream': SSE, 'application/x-ndjson': NDJSON },
        headers: ['ETag', 'Retry-After'],
      },
      204: { description: 'The run has ended, and all of it comes before the cursor: do not come back.' },
      304: { description: 'Nothing has come.', headers: ['ETag', 'Retry-After'] },
    },
    errors: ['invalid_cursor', 'run_not_found', 'not_acceptable', 'going_away', 'contended'],
  },
  'POST /v1/sessions/:session/cancel': {
    id: 'cancelRun',
    tag: 'sessions',
    summary: 'Ends a run, or the active one',
    description: 'Final once it is answered: nothing more of the run is stored.',
    parameters: [session, key],
    body: 'CancelRequest',
    answers: ANSWERED,
    errors: ['no_active_run', 'run_not_found', 'command_id_reused', ...STORING],
  },
  'POST /v1/sessions/:session/tools/:call/claim': {
    id: 'claimCall',
    tag: 'sessions',
    summary: 'Asks to run a tool call; the first one wins',
    parameters: [session, call, key, me],
    body: 'ClaimRequest',
    answers: ANSWERED,
    errors: ['call_not_found', 'call_ended', 'call_claimed', 'approval_pending', 'tool_not_declared', ...STORING],
  },
  'POST /v1/sessions/:session/tools/:call/result': {
    id: 'bringResult',
    tag: 'sessions',
    summary: 'Brings a tool call’s result; the first one ends the call',
    parameters: [session, call, key, me],
    body: 'ResultRequest',
    answers: ANSWERED,
    errors: [
      'call_not_found',
      'call_ended',
      'call_not_claimed',
      'approval_pending',
      'tool_not_declared',
      'invalid_tool_output',
      ...STORING,
    ],
  },
  'POST /v1/sessions/:session/tools/:call/decision': {
    id: 'decideCall',
    tag: 'sessions',
    summary: 'Approves or denies a tool call; the first decision stands',
    parameters: [session, call, key],
    body: 'DecisionRequest',
    answers: ANSWERED,
    errors: ['call_not_found', 'call_ended', 'approval_not_needed', 'already_decided', ...STORING],
  },
  'POST /v1/sessions/:session/presence': {
    id: 'showPresence',
    tag: 'sessions',
    summary: 'Shows the others in the session a state of this client',
    description:
      'For the connection that `Parley-Connection` names. It holds while a stream or polls name it, and 10 s after.',
    parameters: [session, me],
    body: 'PresenceRequest',
    answers: { 204: { description: 'It is shown.' } },
    errors: ['too_large'],
  },
  'PUT /v1/sessions/:session/connections/:connection': {
    id: 'declareTools',
    tag: 'sessions',
    summary: 'Declares the tools that this client can run',
    description: 'They hold while a stream or a long poll names the connection, and for `ttlMs` after the last.',
    parameters: [session, connection],
    body: 'ConnectionRequest',
    answers: { 200: { description: 'They are on offer.', json: 'ConnectionAnswer' } },
    errors: ['invalid_tool', 'going_away', 'contended', 'storage_full'],
  },
  'DELETE /v1/sessions/:session/connections/:connection': {
    id: 'leaveSession',
    tag: 'sessions',
    summary: 'Takes the tools back; calls that this client held are offered again',
    parameters: [session, connection],
    answers: { 204: { description: 'It is gone.' } },
  },
}
