// HTTP: the shapes that only plain HTTP uses: statuses and problem documents of errors (RFC 9457), request bodies, and
// the answers to polls and snapshots. Events and cursors are those of the WebSocket.
import { z } from 'zod'
import { Cancel, Send, SetPresence, ToolDecide } from './command.ts'
import { ERRORS, type ErrorCode } from './error.ts'
import { RunError, Usage } from './event.ts'
import { FormContent, QuestionAction } from './form/form.ts'
import { ToolAsked } from './form/question-event.ts'
import { Id } from './id.ts'
import { JobState, RunResult } from './job.ts'
import { LIMITS } from './limits.ts'
import { OutputPart, Part } from './part.ts'
import { ROLES } from './permission.ts'
import { EntryFrame, Presence, Welcome } from './server-frame.ts'
import { DeclaredTool, Tool, ToolName } from './tool.ts'

/** If the server requires no access tokens, every user is an owner. */
export const Role = z.enum(ROLES)
export type Role = z.infer<typeof Role>

/** Errors that only plain HTTP requests can cause. */
export const HTTP_ERRORS = {
  bad_request: { retryable: false, message: 'Invalid request.' },
  not_found: { retryable: false, message: 'Not found.' },
  method_not_allowed: { retryable: false, message: 'This address does not support this method.' },
  not_acceptable: { retryable: false, message: 'None of the accepted media types is available.' },
  headers_too_large: { retryable: false, message: 'The headers exceed the size limit.' },
  body_timeout: { retryable: true, message: 'The request body did not arrive in time.' },
  unsupported_media_type: { retryable: false, message: 'The body must be JSON (Content-Type: application/json).' },
  upgrade_required: { retryable: false, message: 'This address requires a WebSocket upgrade.' },
} as const satisfies Readonly<Record<string, { readonly retryable: boolean; readonly message: string }>>

export type HttpErrorCode = keyof typeof HTTP_ERRORS
export const HTTP_ERROR_CODES = Object.keys(HTTP_ERRORS) as [HttpErrorCode, ...HttpErrorCode[]]
export type ProblemCode = ErrorCode | HttpErrorCode

/** The HTTP status of each error code. */
export const HTTP_STATUS: Readonly<Record<ProblemCode, number>> = {
  bad_request: 400,
  not_found: 404,
  method_not_allowed: 405,
  not_acceptable: 406,
  body_timeout: 408,
  headers_too_large: 431,
  unsupported_media_type: 415,
  upgrade_required: 426,
  invalid_frame: 400,
  unknown_type: 400,
  invalid_cursor: 400,
  invalid_tool: 422,
  command_id_reused: 422,
  too_large: 413,
  not_attached: 409,
  too_many_sessions: 429,
  rate_limited: 429,
  too_many_runs: 429,
  unauthenticated: 401,
  forbidden: 403,
  origin_not_allowed: 403,
  invite_invalid: 403,
  member_not_found: 404,
  last_owner: 409,
  too_many_members: 409,
  session_not_found: 404,
  session_deleted: 410,
  run_not_found: 404,
  job_not_found: 404,
  job_expired: 410,
  no_active_run: 409,
  run_active: 409,
  queue_full: 429,
  model_not_allowed: 422,
  agent_not_found: 422,
  run_cancelled: 409,
  depth_limit: 422,
  children_limit: 422,
  parent_not_found: 422,
  call_not_found: 404,
  call_ended: 409,
  tool_not_declared: 409,
  call_claimed: 409,
  call_not_claimed: 409,
  approval_pending: 409,
  approval_not_needed: 409,
  already_decided: 409,
  question_not_found: 404,
  question_closed: 409,
  invalid_answer: 422,
  invalid_tool_input: 409,
  invalid_tool_output: 422,
  unavailable: 503,
  storage_full: 507,
  going_away: 503,
  contended: 503,
  internal: 500,
  // A run failed while a request waited for its result.
  provider_error: 502,
  provider_rate_limited: 429,
  provider_unauthenticated: 502,
  provider_timeout: 504,
  provider_disconnected: 502,
  provider_garbage: 502,
  content_filtered: 422,
  option_unsupported: 422,
  context_exceeded: 422,
  step_limit: 422,
  token_limit: 422,
  budget_exceeded: 429,
  time_limit: 504,
  owner_lost: 500,
}

/** The body of every error answer: `application/problem+json` (RFC 9457). */
export const Problem = z.object({
  type: z.literal('about:blank'),
  /** The code's own text. */
  title: z.string(),
  status: z.int(),
  code: z.enum([...Object.keys(ERRORS), ...HTTP_ERROR_CODES] as [ProblemCode, ...ProblemCode[]]),
  /** Describes this case, if there is more to say than the title. */
  detail: z.string().optional(),
  /** The invalid part of the body, the query or the headers: names and indexes, separated by dots. */
  path: z.string().optional(),
  /** Whether the same request may succeed if it is sent again with the same `Idempotency-Key`. */
  retryable: z.boolean(),
  /** The same as the header `X-Request-Id`; the server's log contains it. */
  requestId: z.string(),
  /** The partial result of a run that failed while a request waited for it. */
  result: RunResult.optional(),
})
export type Problem = z.infer<typeof Problem>

/** 1 to 255 visible ASCII characters. A key that is a valid id is the command's id. */
export const IdempotencyKey = z.string().regex(/^[\x21-\x7e]{1,255}$/, 'must be 1–255 visible ASCII characters')

/** `POST /v1/sessions/{session}/messages` */
export const MessageRequest = Send.omit({ type: true, id: true, session: true, trace: true }).extend({
  /** Tools that the connection in `Parley-Connection` has declared at any node. The model can use them, too. */
  tools: z.array(ToolName).max(LIMITS.tools).optional(),
})
export type MessageRequest = z.infer<typeof MessageRequest>

/** `POST /v1/sessions/{session}/cancel` */
export const CancelRequest = Cancel.omit({ type: true, id: true, session: true })
export type CancelRequest = z.infer<typeof CancelRequest>

/** `POST /v1/sessions/{session}/tools/{call}/claim` */
export const ClaimRequest = z.object({})

/** `POST /v1/sessions/{session}/tools/{call}/result`: either `output` or `error`; neither means the output `null`. */
export const ResultRequest = z
  .object({ output: z.unknown().optional(), error: z.string().max(LIMITS.toolOutputBytes).optional() })
  .refine((body) => body.output === undefined || body.error === undefined, 'must have either output or error, not both')
export type ResultRequest = z.infer<typeof ResultRequest>

/** `POST /v1/sessions/{session}/tools/{call}/decision` */
export const DecisionRequest = ToolDecide.omit({ type: true, id: true, session: true, call: true })
export type DecisionRequest = z.infer<typeof DecisionRequest>

/** `POST /v1/sessions/{session}/tools/{call}/answer` */
export const AnswerRequest = z
  .object({ question: Id, action: QuestionAction, content: FormContent.optional() })
  .refine((body) => body.action === 'accept' || body.content === undefined, 'must have content only with accept')
export type AnswerRequest = z.infer<typeof AnswerRequest>

/** `POST /v1/sessions/{session}/presence` */
export const PresenceRequest = SetPresence.pick({ state: true })
export type PresenceRequest = z.infer<typeof PresenceRequest>

/** `PUT /v1/sessions/{session}/connections/{connection}` */
export const ConnectionRequest = z.object({ tools: z.array(Tool).max(LIMITS.tools) })
export type ConnectionRequest = z.infer<typeof ConnectionRequest>

export const ConnectionAnswer = z.object({
  connection: z.string(),
  /** Milliseconds that the connection stays present after the last stream or poll that names it. */
  ttlMs: z.number(),
})
export type ConnectionAnswer = z.infer<typeof ConnectionAnswer>

/** The result of a command; like `ok` on a WebSocket. */
export const CommandAnswer = z.object({
  /** The command's id. */
  id: z.string(),
  session: z.string(),
  cursor: z.string(),
  run: z.string().optional(),
  /** For a claim: Unix milliseconds at which it expires. */
  until: z.number().optional(),
  duplicate: z.literal(true).optional(),
})
export type CommandAnswer = z.infer<typeof CommandAnswer>

/** `GET /v1/sessions/{session}/events` as JSON. */
export const EventsPage = z.object({
  /** After the last of `entries`: the next `after`. */
  cursor: z.string(),
  /** Adjacent outputs of one run are merged, with `count`. */
  entries: z.array(EntryFrame),
  /** Whether the page ends at the head of the log. If false, more is available at once. */
  live: z.boolean(),
  /** The caller's role in the session. */
  role: z.string(),
  /** The server cannot resume from `after`: the entries are from the beginning, and the reader discards what it has. */
  reset: z.literal(true).optional(),
  /** The connections in the session, if the request has `presence=1`. */
  presence: Presence.pick({ members: true, count: true })
    // Changes when someone comes, goes or shows another state. It is the next `here`.
    .extend({ tag: z.string() })
    .optional(),
})
export type EventsPage = z.infer<typeof EventsPage>

/** `GET /v1/hello`: like `welcome` on a WebSocket. `connection` repeats the header `Parley-Connection`. */
export const WelcomeAnswer = Welcome.extend({ role: z.string() })
export type WelcomeAnswer = z.infer<typeof WelcomeAnswer>

/** Default lifetime of an invitation in seconds: one week. */
const INVITE_S = 7 * 24 * 60 * 60

/** `POST /v1/sessions/{session}/invites` */
export const InviteRequest = z.object({
  role: Role,
  /** Lifetime in seconds. */
  ttl: z
    .int()
    .min(60)
    .max(30 * 24 * 60 * 60)
    .default(INVITE_S),
})

export const InviteAnswer = z.object({
  invite: Id,
  /** The secret that `POST …/members` takes. */
  token: z.string(),
  role: Role,
  /** Unix milliseconds. */
  until: z.number(),
})

/** `POST /v1/sessions/{session}/members` */
export const JoinRequest = z.object({ token: z.string().max(512) })
export const JoinAnswer = z.object({ session: Id, role: z.string() })

/** `PUT /v1/sessions/{session}/members/{user}` */
export const RoleRequest = z.object({ role: Role })

/** `PATCH /v1/sessions/{session}` */
export const TitleRequest = z.object({ title: z.string().trim().min(1).max(255) })

/** `GET /v1/sessions/{session}/members` */
export const MembersAnswer = z.object({
  members: z.array(z.object({ user: z.string(), role: z.string(), name: z.string().optional() })),
  /** Open invitations, without their secrets. */
  invites: z.array(z.object({ invite: Id, role: z.string(), until: z.number() })),
})
export type MembersAnswer = z.infer<typeof MembersAnswer>

/** `GET /v1/sessions` */
export const SessionsAnswer = z.object({
  /** The caller's sessions, most recent activity first. */
  sessions: z.array(
    z.object({
      session: Id,
      title: z.string().optional(),
      /** The caller's role in the session. */
      role: z.string(),
      /** Unix milliseconds of the latest message, or of a later change of the title or the members. */
      updatedAt: z.number(),
      /** Unix milliseconds. */
      createdAt: z.number(),
    }),
  ),
  /** If there are more: the next `before`. */
  next: z.string().optional(),
})
export type SessionsAnswer = z.infer<typeof SessionsAnswer>
export type ListedSession = SessionsAnswer['sessions'][number]

/** A question of a tool call in a snapshot, with its answer. */
export const SnapshotQuestion = ToolAsked.pick({ question: true, message: true, schema: true, until: true }).extend({
  action: QuestionAction.optional(),
  content: FormContent.optional(),
  by: z.string().optional(),
})

/** A tool call in a snapshot, with its decision and result. */
export const SnapshotCall = z.object({
  call: Id,
  name: z.string(),
  input: z.unknown(),
  where: z.enum(['client', 'server']),
  approval: z.boolean(),
  decision: z.enum(['approve', 'deny']).optional(),
  /** Its questions, in order. The last one is open if it has no `action` and the call has no result. */
  questions: z.array(SnapshotQuestion).optional(),
  /** The connection that runs it now. */
  connection: z.string().optional(),
  output: z.unknown().optional(),
  error: z.string().optional(),
})

export const SnapshotMessage = z.discriminatedUnion('role', [
  z.object({
    role: z.literal('user'),
    id: Id,
    author: z.string(),
    content: z.array(Part),
    /** Unix milliseconds. */
    time: z.number(),
    /** The run that answers it. */
    run: Id,
    /** The message whose answer it follows; null: none. Omitted if unknown. */
    parent: Id.nullable().optional(),
  }),
  z.object({
    role: z.literal('assistant'),
    run: Id,
    /** The id of the message that it answers. */
    message: Id,
    state: JobState,
    output: z.array(OutputPart),
    /** The text in `output`, without reasoning and `unseen` parts. */
    text: z.string(),
    calls: z.array(SnapshotCall),
    /** The index of the next output; after the end, the number of indexes used. */
    next: z.int().min(0),
    model: z.string().optional(),
    usage: Usage.optional(),
    /** The output reached a token limit. */
    cut: z.literal(true).optional(),
    error: RunError.optional(),
  }),
])
export type SnapshotMessage = z.infer<typeof SnapshotMessage>

/** `GET /v1/sessions/{session}` */
export const SessionSnapshot = z.object({
  session: Id,
  /** The position up to which the snapshot is complete: read from here. */
  cursor: z.string(),
  title: z.string().optional(),
  /** The newest messages, in the order of the session; an answer follows the message that it answers. */
  messages: z.array(SnapshotMessage),
  /** Whether there are older messages. */
  earlier: z.boolean(),
  /** The active run. */
  active: Id.optional(),
  /** Queued runs, in order. */
  queued: z.array(Id),
  /** The connections that show a state, as far as this node knows. */
  members: Presence.shape.members,
  tools: z.array(DeclaredTool),
})
export type SessionSnapshot = z.infer<typeof SessionSnapshot>
