// Operation: what is told of a route to those who write clients. One table for each door (*-operations.ts); a route that is
// in none fails a test.
import type { ProblemCode } from '@parley/protocol'
import type { HttpSchemaName, JsonObject } from './named-schemas.ts'

export const TAGS = {
  sessions: 'A conversation: its messages, its events, what is done in it.',
  jobs: 'A run, for who would rather ask now and then than stay on the line.',
  openai: 'For clients of the OpenAI API: change the base URL.',
  node: 'This node: how it is, and what it speaks.',
} as const
export type Tag = keyof typeof TAGS

export interface Parameter {
  readonly in: 'path' | 'query' | 'header'
  readonly name: string
  readonly description: string
  readonly schema: JsonObject
}

export interface Answer {
  readonly description: string
  readonly json?: HttpSchemaName
  /** Other forms, by their media types, and what they hold. */
  readonly forms?: Readonly<Record<string, string>>
  readonly headers?: readonly AnswerHeader[]
}

export interface Operation {
  /** Names it in clients that are made from the document. */
  readonly id: string
  readonly tag: Tag
  readonly summary: string
  readonly description?: string
  readonly parameters?: readonly Parameter[]
  readonly body?: HttpSchemaName
  /** By their status. */
  readonly answers: Readonly<Record<number, Answer>>
  /** Those of its own: what holds for all (COMMON_ERRORS) is not named. */
  readonly errors?: readonly ProblemCode[]
  /** Its errors have another shape than a problem. */
  readonly errorForm?: 'openai'
  /** Needs no token. */
  readonly open?: true
}

/** `GET /jobs/:id` and so on. */
export type Operations = Readonly<Record<string, Operation>>

/** Of every request with a token. */
export const COMMON_ERRORS: readonly ProblemCode[] = [
  'bad_request',
  'unauthenticated',
  'forbidden',
  'rate_limited',
  'unavailable',
  'internal',
]
/** And of every one with a body. */
export const BODY_ERRORS: readonly ProblemCode[] = ['body_timeout', 'too_large', 'unsupported_media_type']

export const ANSWER_HEADERS = {
  'Retry-After':
    'Whole seconds to wait before asking again. Spread, so that clients who began together do not come together.',
  Location: 'Where the job is.',
  ETag: 'Names what this answer tells of; to be sent back as `If-None-Match`.',
  'Preference-Applied': 'The part of `Prefer` that was heeded.',
  'Content-Location': 'Where the same can be had again: the job.',
  'Parley-Cursor':
    'Up to there, all that the command did is in the log: its message, and the end of what it interrupted.',
  'Idempotent-Replayed': '`true`: the command was done before; this tells what it did then.',
} as const
export type AnswerHeader = keyof typeof ANSWER_HEADERS

const ID = { type: 'string', pattern: '^[A-Za-z0-9_-]{1,128}$' }
const CURSOR = { type: 'string', maxLength: 81 }

/** Parameters that several routes have. */
export const PARAMETERS = {
  session: { in: 'path', name: 'session', description: 'The id of the session; it need not exist yet.', schema: ID },
  call: { in: 'path', name: 'call', description: 'The id of the tool call.', schema: ID },
  connection: {
    in: 'path',
    name: 'connection',
    description: 'A name that the client has chosen for itself.',
    schema: ID,
  },
  job: { in: 'path', name: 'id', description: 'The id of the job.', schema: { type: 'string', maxLength: 262 } },
  after: {
    in: 'query',
    name: 'after',
    description: 'A cursor: what comes after it is sent. Left out: from the beginning.',
    schema: CURSOR,
  },
  since: {
    in: 'query',
    name: 'since',
    description: 'A cursor: the entries of the run after it are told. Left out: from its beginning.',
    schema: CURSOR,
  },
  wait: {
    in: 'query',
    name: 'wait',
    description: 'Seconds, up to 60, to wait for something new before answering. Left out: none.',
    schema: { type: 'number', minimum: 0 },
  },
  run: { in: 'query', name: 'run', description: 'Only what concerns this run; the stream ends with it.', schema: ID },
  merge: {
    in: 'query',
    name: 'merge',
    description: 'While catching up, outputs of a run that follow each other may come as one, with `count`.',
    schema: { type: 'boolean' },
  },
  key: {
    in: 'header',
    name: 'Idempotency-Key',
    description: 'Makes a retry harmless: the same key and body have one effect, and the same answer.',
    schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[\\x21-\\x7e]+$' },
  },
  prefer: {
    in: 'header',
    name: 'Prefer',
    description: '`wait=N`: seconds to wait for the result (60 by default). `respond-async`: do not wait.',
    schema: { type: 'string' },
  },
  lastEventId: {
    in: 'header',
    name: 'Last-Event-ID',
    description: 'The cursor of the last event that came; wins over `after`. `EventSource` sends it by itself.',
    schema: CURSOR,
  },
  ifNoneMatch: {
    in: 'header',
    name: 'If-None-Match',
    description: 'The `ETag` of what the client holds: 304 while nothing has changed.',
    schema: { type: 'string' },
  },
  trace: {
    in: 'header',
    name: 'traceparent',
    description: 'The caller’s span (W3C Trace Context): a server that records traces goes on from there.',
    schema: { type: 'string' },
  },
  me: {
    in: 'header',
    name: 'Parley-Connection',
    description: 'The name under which this client has declared its tools.',
    schema: ID,
  },
} as const satisfies Readonly<Record<string, Parameter>>
