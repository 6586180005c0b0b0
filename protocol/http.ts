// HTTP: what is said over plain HTTP and not over a WebSocket: the status of each error, the problem that tells of
// it (RFC 9457), the bodies of commands, and the answers to polls and snapshots. Events and cursors are the same.
import { z } from 'zod'
import { Cancel, Send, SetPresence, ToolDecide } from './command.ts'
import { ERRORS, type ErrorCode } from './error.ts'
import { RunError, Usage } from './event.ts'
import { Id } from './id.ts'
import { JobState, RunResult } from './job.ts'
import { LIMITS } from './limits.ts'
import { OutputPart, Part } from './part.ts'
import { Role } from './role.ts'
import { EntryFrame, Presence, Welcome } from './server-frame.ts'
import { Tool, ToolName } from './tool.ts'

/** Errors that only a plain HTTP request can make. */
export const HTTP_ERRORS = {
  bad_request: { retryable: false, message: 'The request does not have the form that it should.' },
  not_found: { retryable: false, message: 'There is nothing here.' },
  method_not_allowed: { retryable: false, message: 'This address does not take this method.' },
  not_acceptable: { retryable: false, message: 'None of the accepted media types can be had here.' },
  headers_too_large: { retryable: false, message: 'The headers are larger than the limit.' },
  body_timeout: { retryable: true, message: 'The body took too long to come.' },
  unsupported_media_type: { retryable: false, message: 'The body has to be JSON (Content-Type: application/json).' },
  upgrade_required: { retryable: false, message: 'This is the address of a WebSocket.' },
} as const satisfies Readonly<Record<string, { readonly retryable: boolean; readonly message: string }>>

export type HttpErrorCode = keyof typeof HTTP_ERRORS
export const HTTP_ERROR_CODES = Object.keys(HTTP_ERRORS) as [HttpErrorCode, ...HttpErrorCode[]]
export type ProblemCode = ErrorCode | HttpErrorCode

/** The status by which each error is told. */
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
  parent_not_found: 422,
  call_not_found: 404,
  call_ended: 409,
  tool_not_declared: 409,
  call_claimed: 409,
  call_not_claimed: 409,
  approval_pending: 409,
  approval_not_needed: 409,
  already_decided: 409,
  invalid_tool_output: 422,
  unavailable: 503,
  storage_full: 507,
  going_away: 503,
  contended: 503,
  internal: 500,
  // A run that failed, where a request waited for its result.
  provider_error: 502,
  provider_rate_limited: 429,
  provider_unauthenticated: 502,
  provider_timeout: 504,
  provider_disconnected: 502,
  provider_garbage: 502,
  content_filtered: 422,
  step_limit: 422,
  token_limit: 422,
  budget_exceeded: 429,
  time_limit: 504,
  owner_lost: 500,
}

/** The body of every answer that tells of an error: `application/problem+json`. */
export const Problem = z.object({
  type: z.literal('about:blank'),
  /** The code's own text. */
  title: z.string(),
  status: z.int(),
  code: z.enum([...Object.keys(ERRORS), ...HTTP_ERROR_CODES] as [ProblemCode, ...ProblemCode[]]),
  /** What is wrong in this case, where more can be said. */
  detail: z.string().optional(),
  /** Where the body or the query is wrong: names and indexes, with dots. */
  path: z.string().optional(),
  /** Whether the same request may succeed if it is sent again, with the same `Idempotency-Key`. */
  retryable: z.boolean(),
  /** As in the header `X-Request-Id`, for the server's log. */
  requestId: z.string(),
  /** Of a run that failed while a request waited for it: what there is of it. */
  result: RunResult.optional(),
})
export type Problem = z.infer<typeof Problem>

/** 1 to 255 visible characters; one that is an id is the command's id itself. */
export const IdempotencyKey = z.string().regex(/^[\x21-\x7e]{1,255}$/, 'a key is 1–255 visible characters of ASCII')

/** `POST /v1/sessions/{session}/messages` */
export const MessageRequest = Send.omit({ type: true, id: true, session: true, trace: true }).extend({
  /** Names of tools that the connection named in the header has declared, at whichever node: they are on offer, too. */
  tools: z.array(ToolName).max(LIMITS.tools).optional(),
})
export type MessageRequest = z.infer<typeof MessageRequest>

/** `POST /v1/sessions/{session}/cancel` */
export const CancelRequest = Cancel.omit({ type: true, id: true, session: true })
export type CancelRequest = z.infer<typeof CancelRequest>

/** `POST /v1/sessions/{session}/tools/{call}/claim` */
export const ClaimRequest = z.object({})

/** `POST /v1/sessions/{session}/tools/{call}/result`: one of `output` and `error`, or neither, which is `null`. */
export const ResultRequest = z
  .object({ output: z.unknown().optional(), error: z.string().max(LIMITS.toolOutputBytes).optional() })
  .refine((body) => body.output === undefined || body.error === undefined, 'either output or error, not both')
export type ResultRequest = z.infer<typeof ResultRequest>

/** `POST /v1/sessions/{session}/tools/{call}/decision` */
export const DecisionRequest = ToolDecide.omit({ type: true, id: true, session: true, call: true })
export type DecisionRequest = z.infer<typeof DecisionRequest>

/** `POST /v1/sessions/{session}/presence` */
export const PresenceRequest = SetPresence.pick({ state: true })
export type PresenceRequest = z.infer<typeof PresenceRequest>

/** `PUT /v1/sessions/{session}/connections/{connection}` */
export const ConnectionRequest = z.object({ tools: z.array(Tool).max(LIMITS.tools) })
export type ConnectionRequest = z.infer<typeof ConnectionRequest>

export const ConnectionAnswer = z.object({
  connection: z.string(),
  /** Milliseconds that it holds after the last stream or poll that names it. */
  ttlMs: z.number(),
})
export type ConnectionAnswer = z.infer<typeof ConnectionAnswer>

/** What a command did; as `ok` on a WebSocket. */
export const CommandAnswer = z.object({
  /** The command's id. */
  id: z.string(),
  session: z.string(),
  cursor: z.string(),
  run: z.string().optional(),
  /** Of a claim: Unix milliseconds until which it holds. */
  until: z.number().optional(),
  duplicate: z.literal(true).optional(),
})
export type CommandAnswer = z.infer<typeof CommandAnswer>

/** `GET /v1/sessions/{session}/events` as JSON. */
export const EventsPage = z.object({
  /** After the last of `entries`: what to give as `after` the next time. */
  cursor: z.string(),
  /** Outputs of one run that follow each other come as one, with `count`. */
  entries: z.array(EntryFrame),
  /** Everything so far is in it. With false there is more, at once. */
  live: z.boolean(),
  /** The caller's, in the session. */
  role: z.string(),
  /** `after` could not be gone on from: these are from the beginning, and the reader drops what it holds. */
  reset: z.literal(true).optional(),
  /** Who is here, where it was asked for by `presence=1`. */
  presence: Presence.pick({ members: true, count: true })
    // The same for as long as nobody comes, goes or shows something else: what to give as `here` the next time.
    .extend({ tag: z.string() })
    .optional(),
})
export type EventsPage = z.infer<typeof EventsPage>

/** `GET /v1/hello`: as `welcome` on a WebSocket. `connection` repeats the header `Parley-Connection`. */
export const WelcomeAnswer = Welcome.extend({ role: z.string() })
export type WelcomeAnswer = z.infer<typeof WelcomeAnswer>

/** Seconds that an invitation holds: a week, where nothing else is asked for. */
const INVITE_S = 7 * 24 * 60 * 60

/** `POST /v1/sessions/{session}/invites` */
export const InviteRequest = z.object({
  role: Role,
  /** Seconds. */
  ttl: z
    .int()
    .min(60)
    .max(30 * 24 * 60 * 60)
    .default(INVITE_S),
})

export const InviteAnswer = z.object({
  invite: Id,
  /** For `POST …/members`. */
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
  /** Those that are open; without what lets people in. */
  invites: z.array(z.object({ invite: Id, role: z.string(), until: z.number() })),
})
export type MembersAnswer = z.infer<typeof MembersAnswer>

/** `GET /v1/sessions` */
export const SessionsAnswer = z.object({
  /** The caller's, the newest activity first. */
  sessions: z.array(
    z.object({
      session: Id,
      title: z.string().optional(),
      /** The caller's, in the session. */
      role: z.string(),
      /** Unix milliseconds of its newest message, or of the change of its title or members that came after that. */
      updatedAt: z.number(),
      /** Unix milliseconds. */
      createdAt: z.number(),
    }),
  ),
  /** There are more: to be given as `before`. */
  next: z.string().optional(),
})
export type SessionsAnswer = z.infer<typeof SessionsAnswer>
export type ListedSession = SessionsAnswer['sessions'][number]

/** A tool call in a snapshot: what was asked, and what came of it. */
export const SnapshotCall = z.object({
  call: Id,
  name: z.string(),
  input: z.unknown(),
  where: z.enum(['client', 'server']),
  approval: z.boolean(),
  decision: z.enum(['approve', 'deny']).optional(),
  /** Who runs it now. */
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
    /** The message after whose answer it stands; null: none. Left out where that is not known. */
    parent: Id.nullable().optional(),
  }),
  z.object({
    role: z.literal('assistant'),
    run: Id,
    /** The id of the message that it answers. */
    message: Id,
    state: JobState,
    output: z.array(OutputPart),
    /** The text in `output`, without reasoning and without what the person did not see. */
    text: z.string(),
    calls: z.array(SnapshotCall),
    /** The index of its next output; once it has ended, how many it used. */
    next: z.int().min(0),
    model: z.string().optional(),
    usage: Usage.optional(),
    error: RunError.optional(),
  }),
])
export type SnapshotMessage = z.infer<typeof SnapshotMessage>

/** `GET /v1/sessions/{session}` */
export const SessionSnapshot = z.object({
  session: Id,
  /** Everything up to here is in it: read on from here. */
  cursor: z.string(),
  title: z.string().optional(),
  /** The newest, in the order of the session; an answer comes after the message that it answers. */
  messages: z.array(SnapshotMessage),
  /** There are older ones, which are not in it. */
  earlier: z.boolean(),
  /** The run that is active. */
  active: Id.optional(),
  /** Runs that wait for their turn, in its order. */
  queued: z.array(Id),
  /** Who shows a state here, as far as this node knows. */
  members: Presence.shape.members,
  tools: z.array(Tool),
})
export type SessionSnapshot = z.infer<typeof SessionSnapshot>
