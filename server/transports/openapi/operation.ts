// Operation: the description of a route in the OpenAPI document. Each group of routes has a table (*-operations.ts); a
// test fails for a route that is in no table.
import type { ProblemCode } from '@parley/protocol'
import type { HttpSchemaName, JsonObject } from './named-schemas.ts'

export const TAGS = {
  sessions: 'A conversation: its messages, events, commands and members.',
  jobs: 'A run that the client accesses by polling.',
  openai: 'For clients of the OpenAI API; only their base URL must be changed.',
  mcp: 'For clients of the Model Context Protocol; the tools are the configured agents.',
  agui: 'For clients of the AG-UI protocol, such as CopilotKit.',
  node: 'The node: its state, metrics and documents.',
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
  /** Descriptions of other formats, keyed by media type. */
  readonly forms?: Readonly<Record<string, string>>
  readonly headers?: readonly AnswerHeader[]
}

export interface Operation {
  /** The name of the operation in generated clients. */
  readonly id: string
  readonly tag: Tag
  readonly summary: string
  readonly description?: string
  readonly parameters?: readonly Parameter[]
  readonly body?: HttpSchemaName
  /** Keyed by status. */
  readonly answers: Readonly<Record<number, Answer>>
  /** Without COMMON_ERRORS, which are added. */
  readonly errors?: readonly ProblemCode[]
  /** Set if errors are not `application/problem+json`. */
  readonly errorForm?: 'openai' | 'mcp'
  /** Requires no access token. */
  readonly open?: true
}

/** Keyed by method and path, for example `GET /jobs/:id`. */
export type Operations = Readonly<Record<string, Operation>>

/** Errors of every route that requires an access token. */
export const COMMON_ERRORS: readonly ProblemCode[] = [
  'bad_request',
  'unauthenticated',
  'forbidden',
  'origin_not_allowed',
  'rate_limited',
  'unavailable',
  'internal',
]
/** Errors of every request with a body. */
export const BODY_ERRORS: readonly ProblemCode[] = ['body_timeout', 'too_large', 'unsupported_media_type']

export const ANSWER_HEADERS = {
  'Retry-After': 'Seconds until the next request. The value varies, so that clients do not return all at once.',
  Location: 'The URL of the job.',
  ETag: 'The version of this answer, for `If-None-Match`.',
  'Preference-Applied': 'The preferences of `Prefer` that the server applied.',
  'Content-Location': 'The URL of the job, which has the same result.',
  'Parley-Cursor': 'A cursor: the log up to it contains all effects of the command, such as an interrupted run’s end.',
  'Idempotent-Replayed': '`true` if this repeats the answer to an earlier request with the same key.',
} as const
export type AnswerHeader = keyof typeof ANSWER_HEADERS

const ID = { type: 'string', pattern: '^[A-Za-z0-9_-]{1,128}$' }
const CURSOR = { type: 'string', maxLength: 81 }

/** Parameters that several routes share. */
export const PARAMETERS = {
  session: {
    in: 'path',
    name: 'session',
    description: 'The id of the session. Clients may choose the id of a new session.',
    schema: ID,
  },
  call: { in: 'path', name: 'call', description: 'The id of the tool call.', schema: ID },
  connection: {
    in: 'path',
    name: 'connection',
    description: 'A name that the client has chosen for its connection.',
    schema: ID,
  },
  job: { in: 'path', name: 'id', description: 'The id of the job.', schema: { type: 'string', maxLength: 262 } },
  after: {
    in: 'query',
    name: 'after',
    description: 'A cursor: only entries after it are returned. Default: all entries.',
    schema: CURSOR,
  },
  since: {
    in: 'query',
    name: 'since',
    description: 'A cursor: only entries of the run after it are returned. Default: all of its entries.',
    schema: CURSOR,
  },
  wait: {
    in: 'query',
    name: 'wait',
    description: 'For a long poll: seconds to wait for something new, at most 60. Default: answer at once.',
    schema: { type: 'number', minimum: 0 },
  },
  run: {
    in: 'query',
    name: 'run',
    description: 'Return only entries of this run. The stream ends with the run.',
    schema: ID,
  },
  children: {
    in: 'query',
    name: 'children',
    description: 'With `run`: also return the entries of its child runs.',
    schema: { type: 'boolean' },
  },
  merge: {
    in: 'query',
    name: 'merge',
    description: 'During replay, allow the server to merge consecutive outputs of a run into one entry with `count`.',
    schema: { type: 'boolean' },
  },
  key: {
    in: 'header',
    name: 'Idempotency-Key',
    description: 'Makes retries safe: requests with the same key and body have one effect and the same answer.',
    schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[\\x21-\\x7e]+$' },
  },
  prefer: {
    in: 'header',
    name: 'Prefer',
    description:
      '`wait=N`: wait N seconds for the result (default 45, at most 600 unless the server is configured otherwise). `respond-async`: do not wait.',
    schema: { type: 'string' },
  },
  lastEventId: {
    in: 'header',
    name: 'Last-Event-ID',
    description: 'The cursor of the last received event. It overrides `after`. `EventSource` sends it automatically.',
    schema: CURSOR,
  },
  ifNoneMatch: {
    in: 'header',
    name: 'If-None-Match',
    description: 'The `ETag` of the client’s version. The answer is 304 if it is still current.',
    schema: { type: 'string' },
  },
  trace: {
    in: 'header',
    name: 'traceparent',
    description: 'The client’s span (W3C Trace Context), which becomes the parent of the server’s spans.',
    schema: { type: 'string' },
  },
  me: {
    in: 'header',
    name: 'Parley-Connection',
    description: 'The name of the client’s connection, under which it declares tools and shows presence.',
    schema: ID,
  },
} as const satisfies Readonly<Record<string, Parameter>>
