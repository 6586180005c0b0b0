// Server frames: the schemas of all frames from server to client.
import { z } from 'zod'
import { Assignment } from './assignment.ts'
import { ERROR_CODES } from './error.ts'
import { Event } from './event.ts'

const Time = z.number()

export const Welcome = z.object({
  type: z.literal('welcome'),
  connection: z.string(),
  user: z.string(),
  /** The user's display name, if the access token has one. */
  name: z.string().optional(),
  node: z.string(),
  /** Milliseconds. The server pings silent connections, and drops those that were silent for three times as long. */
  heartbeatMs: z.number(),
  limits: z.record(z.string(), z.number()),
  /** The server's clock, in Unix milliseconds. */
  time: Time.optional(),
  /** Unix milliseconds at which the access token expires, if it does. */
  expiresAt: Time.optional(),
  /** The client's assignment, if it takes part in an experiment. */
  experiment: Assignment.optional(),
})

export const Attached = z.object({
  type: z.literal('attached'),
  id: z.string(),
  session: z.string(),
  /** The head of the log at that moment. */
  cursor: z.string(),
  /** The server cannot resume from the reader's cursor: the reader discards what it has, and starts again. */
  reset: z.literal(true).optional(),
  role: z.string(),
})

export const EntryFrame = z.object({
  type: z.literal('entry'),
  session: z.string(),
  cursor: z.string(),
  time: Time,
  event: Event,
})

export const Live = z.object({ type: z.literal('live'), session: z.string(), cursor: z.string() })

export const Ok = z.object({
  type: z.literal('ok'),
  id: z.string(),
  session: z.string().optional(),
  cursor: z.string().optional(),
  message: z.string().optional(),
  run: z.string().optional(),
  /** For `tool.claim`: Unix milliseconds at which the claim expires. */
  until: z.number().optional(),
  duplicate: z.literal(true).optional(),
})

export const ErrorFrame = z.object({
  type: z.literal('error'),
  id: z.string().optional(),
  /** Without an `id`: the server no longer sends this session. */
  session: z.string().optional(),
  code: z.enum(ERROR_CODES),
  message: z.string(),
  retryable: z.boolean(),
  retryAfterMs: z.number().optional(),
})

export const PresenceMember = z.object({
  user: z.string(),
  connection: z.string(),
  state: z.record(z.string(), z.unknown()),
  /** The user's display name. */
  name: z.string().optional(),
  /** The device that the client reports, else the client's name. */
  device: z.string().optional(),
})

/** The connections in a session. In a crowd, `members` lists only some; `count` is the number of all connections. */
export const Presence = z.object({
  type: z.literal('presence'),
  session: z.string(),
  members: z.array(PresenceMember),
  count: z.int().optional(),
})

/** The access token expires at `expiresAt`. Without a fresh one by then, the server closes the connection with 4401. */
export const Expiring = z.object({ type: z.literal('expiring'), expiresAt: Time })

export const GoAway = z.object({ type: z.literal('goaway'), reason: z.string(), reconnectAfterMs: z.number() })

export const Pong = z.object({ type: z.literal('pong'), nonce: z.string().optional() })

export const ServerFrame = z.discriminatedUnion('type', [
  Welcome,
  Attached,
  EntryFrame,
  Live,
  Ok,
  ErrorFrame,
  Presence,
  Expiring,
  GoAway,
  Pong,
])
export type ServerFrame = z.infer<typeof ServerFrame>
export type ServerFrameType = ServerFrame['type']
export type Welcome = z.infer<typeof Welcome>
export type Attached = z.infer<typeof Attached>
export type EntryFrame = z.infer<typeof EntryFrame>
export type Live = z.infer<typeof Live>
export type Ok = z.infer<typeof Ok>
export type ErrorFrame = z.infer<typeof ErrorFrame>
export type Presence = z.infer<typeof Presence>
export type PresenceMember = z.infer<typeof PresenceMember>

export const SERVER_FRAME_TYPES: readonly ServerFrameType[] = ServerFrame.options.map(
  (option) => option.shape.type.value,
)
