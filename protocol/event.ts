// Events: the contents of a session's log, which readers receive over every transport.
import { z } from 'zod'
import { Budget } from './account.ts'
import { Context } from './context.ts'
import { Door } from './door.ts'
import { ERROR_CODES } from './error.ts'
import { ToolAnswered, ToolAsked } from './form/question-event.ts'
import { Id } from './id.ts'
import { OUTPUT_LIMITS } from './limits.ts'
import { Marks } from './marks.ts'
import { dataFields, fileFields, OutputPart, Part, Seen, sourceFields } from './part.ts'
import { RelayedRequest, RunRequested } from './run/relayed-request.ts'
import { DeclaredTool, ToolName } from './tool.ts'
import { Traceparent } from './trace.ts'

const Count = z.int().min(0)

export const POLICIES = ['queue', 'interrupt', 'reject', 'steer'] as const
export const Policy = z.enum(POLICIES)
export type Policy = z.infer<typeof Policy>

export const RUN_END_REASONS = ['completed', 'cancelled', 'superseded', 'failed'] as const
export const RunEndReason = z.enum(RUN_END_REASONS)
export type RunEndReason = z.infer<typeof RunEndReason>

/** Tokens as the provider counts them. */
export const Usage = z.object({
  inputTokens: Count,
  outputTokens: Count,
  /** The part of `outputTokens` that was reasoning, if the provider reports it. */
  reasoningTokens: Count.optional(),
  /** The parts of `inputTokens` that the provider read from its cache and wrote to it, if it reports any. */
  cachedTokens: Count.optional(),
  cacheWriteTokens: Count.optional(),
})
export type Usage = z.infer<typeof Usage>

/** Why a run failed. The message is for people and contains no internals. */
export const RunError = z.object({
  code: z.enum(ERROR_CODES),
  message: z.string(),
  /** Whether a new message may succeed, if that differs from the code's general rule. */
  retryable: z.boolean().optional(),
  /** The wait (ms) from the run's end that the model provider asked for. */
  retryAfterMs: z.int().min(0).optional(),
  /** The HTTP status with which the model provider refused the request. */
  providerStatus: z.int().min(400).max(599).optional(),
})
export type RunError = z.infer<typeof RunError>

/** Something that the model did not get as it was sent. */
export const RunNotice = z.object({
  code: z.enum([
    /** An option that the model does not support, and one that was passed on in another form. */
    'option_ignored',
    'option_adapted',
    /** Anything else that the provider's interface could not pass on. */
    'provider_warning',
    /** The oldest turns, or steps of this run, which exceed the context window of the model. */
    'history_omitted',
    /** Files that the model does not accept. It gets their names. */
    'file_omitted',
    /** Tool calls of the conversation that the model got with another name, or in words. */
    'call_adapted',
    /** A tool that the model cannot be offered, because its provider does not accept the name. */
    'tool_omitted',
    /** Tools beyond the number that providers accept. */
    'tools_omitted',
  ]),
  /** A key of the message's `sampling`. */
  option: z.string().optional(),
  /** For people; always present with `provider_warning`. */
  message: z.string().optional(),
  /** The media type of the files. */
  mediaType: z.string().optional(),
  /** The name of the tool. */
  tool: z.string().optional(),
  /** How many turns and steps, files, calls or tools. */
  count: Count.optional(),
})
export type RunNotice = z.infer<typeof RunNotice>

/** A person's message, and the run that answers it. */
export const MessageEvent = z.object({
  type: z.literal('message'),
  /** The id of the `send` command. */
  id: Id,
  role: z.literal('user'),
  author: z.string(),
  content: z.array(Part),
  policy: Policy,
  /** The run that answers it; with `steer`, the active run if it can still take the message. */
  run: Id,
  model: z.string().optional(),
  agent: z.string().optional(),
  seen: Seen.optional(),
  /** The message whose answer it follows; null: it starts a conversation. Omitted: the message before it in the log. */
  parent: Id.nullable().optional(),
  /** With `reject`: the sequence number up to which the server had read when no run was active. */
  after: Count.optional(),
  /** The session's title, from this message. It applies if the session has none, and a `session.updated` replaces it. */
  title: z.string().optional(),
  /** Input for its run only. */
  context: Context.optional(),
  /** An abridged message: `context` lacks its `history`, and a `content` beyond 1 MiB is shortened. The model gets the whole. */
  // `segment` and `digest` are the server's own.
  abridged: z.object({ segment: Count, digest: z.string() }).optional(),
  /** Names of the client tools that were available when it was sent. */
  tools: z.array(ToolName).optional(),
  /** The transport over which it was sent. */
  door: Door.optional(),
  /** The author's variant of an experiment. */
  variant: z.string().max(32).optional(),
  /** The budget in the author's access token, if any; it pays for the run. */
  budget: Budget.optional(),
  /** The span in which the server accepted it. The driver of the run continues that trace. */
  trace: Traceparent.optional(),
})

/** The call of an agent that asked another one. */
export const ParentCall = z.object({ run: Id, call: Id })
export type ParentCall = z.infer<typeof ParentCall>

export const RunStarted = z.object({
  type: z.literal('run.started'),
  run: Id,
  /** The attempt: 1 for the first driver; each takeover increments it. */
  epoch: z.int().min(1),
  /** `restart`: readers discard the unfinished output. `continue`: the output continues. */
  mode: z.enum(['new', 'continue', 'restart']),
  model: z.string(),
  message: Id,
  /** The index of the next output. */
  next: Count,
  /** The node that drives the run. */
  owner: z.string().optional(),
  /** Only of a child run: the run whose agent asked for it, and the call. */
  parent: ParentCall.optional(),
  /** The configured agent that answers now; absent: the server's default. */
  agent: z.string().optional(),
  /** The model call that this driver sends first, or continues. */
  request: RelayedRequest.optional(),
})

/** Another agent continues the run. */
export const RunHanded = z.object({
  type: z.literal('run.handed'),
  run: Id,
  /** Absent: the server's default agent. */
  from: z.string().optional(),
  to: z.string(),
  reason: z.string().optional(),
})

const output = {
  type: z.literal('run.output'),
  run: Id,
  index: Count,
  /** Empty for kinds without text, so that a reader that does not know a kind appends nothing. */
  text: z.string(),
  /** Only for readers with `merge`: the number of outputs that this event stands for, starting at `index`. */
  count: z.int().min(2).optional(),
}

export const RunOutput = z.discriminatedUnion('kind', [
  z.object({ ...output, kind: z.literal('text') }),
  z.object({ ...output, kind: z.literal('reasoning') }),
  /** Arguments of a tool call while the model writes them; `tool.called` follows with the whole input. */
  z.object({
    ...output,
    kind: z.literal('input'),
    call: Id,
    /** With the call's first output. */ name: z.string().optional(),
  }),
  /** An application's own data. A later one with the same `id` replaces it. */
  z.object({ ...output, kind: z.literal('data'), ...dataFields, data: z.unknown() }),
  z.object({ ...output, kind: z.literal('source'), ...sourceFields }),
  z.object({ ...output, kind: z.literal('file'), ...fileFields }),
])

/** Compaction also removes `run.started`, so the compacted events repeat its fields. */
const startedFields = {
  epoch: z.int().min(1).optional(),
  model: z.string().optional(),
  message: Id.optional(),
  owner: z.string().optional(),
  /** Unix milliseconds at which that driver started. */
  startedAt: z.number().optional(),
  parent: ParentCall.optional(),
  /** The agent at this point: it may have taken the run over with `run.handed`, which compaction removes as well. */
  agent: z.string().optional(),
}

/** The run's output so far. It replaces what the reader has of the run. */
export const RunSnapshot = z.object({
  type: z.literal('run.snapshot'),
  run: Id,
  ...startedFields,
  next: Count,
  output: z.array(OutputPart),
  /** The current model call, as in `run.started` and `run.requested`. */
  request: RelayedRequest.optional(),
  /** It contains news (a steering message, the steps that a restart kept), so live readers receive it as well. */
  changes: z.literal(true).optional(),
})

export const RunEnded = z.object({
  type: z.literal('run.ended'),
  run: Id,
  ...startedFields,
  reason: RunEndReason,
  /** The user who cancelled or superseded it, or `server`. */
  by: z.string().optional(),
  error: RunError.optional(),
  /** At most one for each option, media type and tool, and 16 in all. */
  notices: z.array(RunNotice).optional(),
  usage: Usage,
  /** The answer reached the requested length or the provider's limit. */
  cut: z.literal(true).optional(),
  /** How many indexes the run used. */
  next: Count,
  /** The whole output, for readers that lack it. Readers that had every output receive the event without it. */
  output: z.array(OutputPart).optional(),
  /** The id of the command that ended it. */
  command: Id.optional(),
  /** The outputs that the person who ended it had seen. */
  seen: Seen.optional(),
  /** It repeats an earlier `run.ended` that had no output, and adds the output. */
  compacted: z.literal(true).optional(),
  /** With `compacted`: the sequence number of the `run.ended` that it repeats. */
  at: Count.optional(),
})

/** A tool call of the model. Repeated with a higher `attempt` if a claimant is lost. */
export const ToolCalled = z.object({
  type: z.literal('tool.called'),
  run: Id,
  call: Id,
  name: z.string(),
  input: z.unknown(),
  where: z.enum(['client', 'server']),
  approval: z.boolean(),
  attempt: z.int().min(1),
  /** Unix milliseconds at which the call times out. */
  until: z.number(),
  /** The run's model call (step) that made it, from 0. */
  step: Count,
  /** The index of the next output: the place of the call among the outputs. Readers may get earlier outputs later, compacted. */
  next: Count.optional(),
  /**
   * The run's attempt (`run.started`) whose model made the call; omitted when `tool.called` is repeated. It exposes
   * calls that a replaced driver stored too late.
   */
  epoch: z.int().min(1).optional(),
  /** What the model's provider wants back with the call. Opaque. */
  marks: Marks.optional(),
  /** The call asks another agent: its answer is this run. */
  child: z.object({ run: Id, agent: z.string() }).optional(),
  /** The call hands the conversation to this agent. */
  handoff: z.string().optional(),
  /** A remote agent makes the call itself, and reports its result. */
  remote: z.literal(true).optional(),
})

export const ToolClaimed = z.object({
  type: z.literal('tool.claimed'),
  run: Id,
  call: Id,
  /** The connection that runs the call; for a server tool: the node. */
  connection: z.string(),
  /** The connection's user, if its client chose its name (plain HTTP). */
  user: z.string().optional(),
  /** Unix milliseconds at which the claim expires, unless the claimant claims again before. */
  until: z.number(),
  command: Id.optional(),
})

export const ToolDecided = z.object({
  type: z.literal('tool.decided'),
  run: Id,
  call: Id,
  decision: z.enum(['approve', 'deny']),
  by: z.string(),
  reason: z.string().optional(),
  command: Id.optional(),
})

/** Exactly one of `output` and `error`. */
export const ToolResult = z.object({
  type: z.literal('tool.result'),
  run: Id,
  call: Id,
  output: z.unknown().optional(),
  error: z.string().optional(),
  /** With `error`, if the call asked another agent: why it has no answer. */
  code: z.enum(ERROR_CODES).optional(),
  /** What a remote agent wants back with the result. Opaque. */
  marks: Marks.optional(),
  /** A connection, a node, or `server` if the call timed out, was denied or could not be made. */
  by: z.string(),
  command: Id.optional(),
})

/** How far a call is. Readers ignore it after the call's result. At least one of `text` and `done`. */
export const ToolProgress = z.object({
  type: z.literal('tool.progress'),
  run: Id,
  call: Id,
  text: z.string().max(OUTPUT_LIMITS.progressChars).optional(),
  done: z.number().min(0).optional(),
  total: z.number().min(0).optional(),
})

/** A user became a member, or a member's role changed. */
export const MemberJoined = z.object({
  type: z.literal('member.joined'),
  user: z.string(),
  role: z.string(),
  /** Display name, if the access token has one. */
  name: z.string().optional(),
  /** The user who gave the role, if someone did. */
  by: z.string().optional(),
  /** The invitation that they used. */
  invite: Id.optional(),
})

/** A member left, or was removed by `by`. */
export const MemberLeft = z.object({ type: z.literal('member.left'), user: z.string(), by: z.string().optional() })

/** Anyone with the secret may join until `until`. */
export const InviteCreated = z.object({
  type: z.literal('invite.created'),
  invite: Id,
  role: z.string(),
  /** SHA-256 of the secret, as base64url. */
  hash: z.string(),
  /** Unix milliseconds. */
  until: z.number(),
  by: z.string(),
})

export const InviteRevoked = z.object({ type: z.literal('invite.revoked'), invite: Id, by: z.string() })

/** The session's settings changed. Only what changed is present. */
export const SessionUpdated = z.object({
  type: z.literal('session.updated'),
  title: z.string().max(255).optional(),
  /** Client tools; each replaces the one with the same name and the same `by`. */
  tools: z.array(DeclaredTool).optional(),
  /** Runs whose responses were deleted: the OpenAI-compatible API no longer serves them. Adds to those of earlier entries. */
  deletedResponses: z.array(Id).optional(),
})

/** The session is deleted for everyone: no later entry counts, and earlier entries are purged. */
export const SessionDeleted = z.object({ type: z.literal('session.deleted'), by: z.string(), command: Id.optional() })

export const Event = z.discriminatedUnion('type', [
  MessageEvent,
  RunStarted,
  RunRequested,
  RunHanded,
  RunOutput,
  RunSnapshot,
  RunEnded,
  ToolCalled,
  ToolClaimed,
  ToolDecided,
  ToolAsked,
  ToolAnswered,
  ToolResult,
  ToolProgress,
  MemberJoined,
  MemberLeft,
  InviteCreated,
  InviteRevoked,
  SessionUpdated,
  SessionDeleted,
])
export type Event = z.infer<typeof Event>
export type EventType = Event['type']
export type EventOf<T extends EventType> = Extract<Event, { type: T }>
export type MessageEvent = z.infer<typeof MessageEvent>
export type RunStarted = z.infer<typeof RunStarted>
export type RunHanded = z.infer<typeof RunHanded>
export type RunOutput = z.infer<typeof RunOutput>
export type RunSnapshot = z.infer<typeof RunSnapshot>
export type RunEnded = z.infer<typeof RunEnded>
export type ToolCalled = z.infer<typeof ToolCalled>
export type ToolClaimed = z.infer<typeof ToolClaimed>
export type ToolDecided = z.infer<typeof ToolDecided>
export type ToolResult = z.infer<typeof ToolResult>
export type ToolProgress = z.infer<typeof ToolProgress>
export type SessionUpdated = z.infer<typeof SessionUpdated>
export type SessionDeleted = z.infer<typeof SessionDeleted>

/** The fields of each event. Those of `run.output` depend on its kind. */
export const EVENT_SHAPES = Event.options.map((option) =>
  'options' in option ? Object.assign({}, ...option.options.map(({ shape }) => shape)) : option.shape,
) as readonly { readonly type: z.ZodLiteral<EventType> }[]
export const EVENT_TYPES: readonly EventType[] = EVENT_SHAPES.map(({ type }) => type.value)
