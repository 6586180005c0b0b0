// Events: what a session's log holds, and what goes out through every door.
import { z } from 'zod'
import { Budget } from './account.ts'
import { Context } from './context.ts'
import { Door } from './door.ts'
import { ERROR_CODES } from './error.ts'
import { Id } from './id.ts'
import { OutputPart, Part, Seen } from './part.ts'
import { Tool, ToolName } from './tool.ts'
import { Traceparent } from './trace.ts'

const Count = z.int().min(0)

export const POLICIES = ['queue', 'interrupt', 'reject', 'steer'] as const
export const Policy = z.enum(POLICIES)
export type Policy = z.infer<typeof Policy>

export const RUN_END_REASONS = ['completed', 'cancelled', 'superseded', 'failed'] as const
export const RunEndReason = z.enum(RUN_END_REASONS)
export type RunEndReason = z.infer<typeof RunEndReason>

/** Tokens, as the provider counts them. */
export const Usage = z.object({
  inputTokens: Count,
  outputTokens: Count,
  /** The part of `outputTokens` that was reasoning, where the provider tells. */
  reasoningTokens: Count.optional(),
})
export type Usage = z.infer<typeof Usage>

/** Why a run failed. The message is for people and carries no internals. */
export const RunError = z.object({ code: z.enum(ERROR_CODES), message: z.string() })
export type RunError = z.infer<typeof RunError>

/** A person's message, and the run that is to answer it. */
export const MessageEvent = z.object({
  type: z.literal('message'),
  /** The id of the `send` command. */
  id: Id,
  role: z.literal('user'),
  author: z.string(),
  content: z.array(Part),
  policy: Policy,
  /** The run that answers it. With `steer` and a run that can still take it: that run. */
  run: Id,
  model: z.string().optional(),
  agent: z.string().optional(),
  seen: Seen.optional(),
  /** The message after whose answer it stands; null: it begins a conversation; left out: the one before it in the log. */
  parent: Id.nullable().optional(),
  /** With `reject`: the sequence number up to which its door saw that nothing was active. */
  after: Count.optional(),
  /** What it brings along for its run. */
  context: Context.optional(),
  /** Names of the client tools that were on offer when it was sent. */
  tools: z.array(ToolName).optional(),
  /** Through which it came. */
  door: Door.optional(),
  /** Of an experiment that its author takes part in. */
  variant: z.string().max(32).optional(),
  /** What its author's token allows, where that says: its run is paid from it. */
  budget: Budget.optional(),
  /** The span in which the server took it: who drives its run goes on from there. */
  trace: Traceparent.optional(),
})

export const RunStarted = z.object({
  type: z.literal('run.started'),
  run: Id,
  /** 1 for the first owner; each take-over raises it. */
  epoch: z.int().min(1),
  /** `restart`: drop the unfinished output. `continue`: it goes on. */
  mode: z.enum(['new', 'continue', 'restart']),
  model: z.string(),
  message: Id,
  /** The index that its first output will have. */
  next: Count,
  /** The node that drives it. */
  owner: z.string().optional(),
})

export const RunOutput = z.object({
  type: z.literal('run.output'),
  run: Id,
  index: Count,
  kind: z.enum(['text', 'reasoning']),
  text: z.string(),
  /** Only for readers that attached with `merge`: it stands for this many outputs, from `index` on. */
  count: z.int().min(2).optional(),
})

/** What a roll-up replaces includes `run.started`: so it says again what that said. */
const startedFields = {
  epoch: z.int().min(1).optional(),
  model: z.string().optional(),
  message: Id.optional(),
  owner: z.string().optional(),
  /** Unix milliseconds at which that owner began. */
  startedAt: z.number().optional(),
}

/** Replaces what the reader holds of the run. */
export const RunSnapshot = z.object({
  type: z.literal('run.snapshot'),
  run: Id,
  ...startedFields,
  next: Count,
  output: z.array(OutputPart),
  /** It tells something new (a taken message, the steps kept by a restart), so live readers get it as well. */
  changes: z.literal(true).optional(),
})

export const RunEnded = z.object({
  type: z.literal('run.ended'),
  run: Id,
  ...startedFields,
  reason: RunEndReason,
  /** Who cancelled or superseded it: a user id, or `server`. */
  by: z.string().optional(),
  error: RunError.optional(),
  usage: Usage,
  /** The provider's bound on its length cut the answer. */
  cut: z.literal(true).optional(),
  /** How many indexes the run used. */
  next: Count,
  /** The whole output, for readers who lack it. Those who had every output get the event without it. */
  output: z.array(OutputPart).optional(),
  /** The id of the command that ended it. */
  command: Id.optional(),
  /** What the person who ended it had seen. */
  seen: Seen.optional(),
  /** A later fold of a `run.ended` that carried no output: it says the same, and carries it. */
  compacted: z.literal(true).optional(),
  /** With `compacted`: the sequence number of the end that it repeats. */
  at: Count.optional(),
})

/** A call that the model made. Comes again, with a higher `attempt`, when a claimant was lost. */
export const ToolCalled = z.object({
  type: z.literal('tool.called'),
  run: Id,
  call: Id,
  name: z.string(),
  input: z.unknown(),
  where: z.enum(['client', 'server']),
  approval: z.boolean(),
  attempt: z.int().min(1),
  /** Unix milliseconds after which the call is given up. */
  until: z.number(),
  /** The model call (step) of the run that made it, from 0. */
  step: Count,
  /** Of the owner whose model made it; not said again with a higher `attempt`. One that was replaced may be late with a call. */
  epoch: z.int().min(1).optional(),
})

export const ToolClaimed = z.object({
  type: z.literal('tool.claimed'),
  run: Id,
  call: Id,
  /** The connection that runs it; for a server tool the node. */
  connection: z.string(),
  /** Whose connection it is, where its client chose its name (plain HTTP). */
  user: z.string().optional(),
  /** Unix milliseconds; the claim must be renewed before, by claiming again. */
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
  /** A connection, a node, or `server` when the call timed out, was denied or could not be made. */
  by: z.string(),
  command: Id.optional(),
})

/** Somebody is a member now, or has another role than before. */
export const MemberJoined = z.object({
  type: z.literal('member.joined'),
  user: z.string(),
  role: z.string(),
  /** How people call them, where their token tells. */
  name: z.string().optional(),
  /** Who gave the role, where it was given. */
  by: z.string().optional(),
  /** The invitation that let them in. */
  invite: Id.optional(),
})

/** Somebody is a member no more. */
export const MemberLeft = z.object({ type: z.literal('member.left'), user: z.string(), by: z.string().optional() })

/** Whoever has the secret may join. */
export const InviteCreated = z.object({
  type: z.literal('invite.created'),
  invite: Id,
  role: z.string(),
  /** Of the secret: SHA-256, base64url. */
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
  /** Client tools, each replacing the one of the same name. */
  tools: z.array(Tool).optional(),
})

/** The session is over, for everybody: nothing after it counts, and all before it goes away. */
export const SessionDeleted = z.object({ type: z.literal('session.deleted'), by: z.string(), command: Id.optional() })

export const Event = z.discriminatedUnion('type', [
  MessageEvent,
  RunStarted,
  RunOutput,
  RunSnapshot,
  RunEnded,
  ToolCalled,
  ToolClaimed,
  ToolDecided,
  ToolResult,
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
export type RunOutput = z.infer<typeof RunOutput>
export type RunSnapshot = z.infer<typeof RunSnapshot>
export type RunEnded = z.infer<typeof RunEnded>
export type ToolCalled = z.infer<typeof ToolCalled>
export type ToolClaimed = z.infer<typeof ToolClaimed>
export type ToolDecided = z.infer<typeof ToolDecided>
export type ToolResult = z.infer<typeof ToolResult>
export type SessionUpdated = z.infer<typeof SessionUpdated>
export type SessionDeleted = z.infer<typeof SessionDeleted>

export const EVENT_TYPES: readonly EventType[] = Event.options.map((option) => option.shape.type.value)
