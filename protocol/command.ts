// Client frames: the schemas of all frames from client to server. Those with an id and a session are commands.
import { z } from 'zod'
import { Context } from './context.ts'
import { Resume } from './door.ts'
import { Policy } from './event.ts'
import { FormContent, QuestionAction } from './form/form.ts'
import { Id } from './id.ts'
import { LIMITS } from './limits.ts'
import { Content, Seen } from './part.ts'
import { Tool } from './tool.ts'

const Session = Id

export const Hello = z.object({
  type: z.literal('hello'),
  token: z.string().max(16_384).optional(),
  client: z
    .object({
      name: z.string().max(64),
      version: z.string().max(64),
      /** Kept by the client across connections. It identifies anonymous users in experiments. */
      id: Id.optional(),
    })
    .optional(),
})

/** Renews the access token of an open connection. The new one must name the same user. */
export const FreshToken = z.object({ type: z.literal('token'), id: Id, token: z.string().max(16_384) })

export const Attach = z.object({
  type: z.literal('attach'),
  id: Id,
  session: Session,
  /** Resume after this cursor. Omitted: start at the beginning. */
  after: z.string().max(256).optional(),
  tools: z.array(Tool).max(LIMITS.tools).optional(),
  /** While the reader catches up, the server may merge outputs of one run (`run.output` with `count`). */
  merge: z.boolean().optional(),
  /** The client read the session before, over a connection that it lost or closed. */
  resume: Resume.optional(),
})

export const Detach = z.object({ type: z.literal('detach'), id: Id, session: Session })

export const Send = z.object({
  type: z.literal('send'),
  id: Id,
  session: Session,
  content: Content,
  policy: Policy.optional(),
  model: z.string().max(256).optional(),
  agent: z.string().max(128).optional(),
  seen: Seen.optional(),
  /** The message whose answer this one follows; null: none. Omitted: the message before it in the log. */
  parent: Id.nullable().optional(),
  /** For callers that keep the conversation, or its tools, outside the session. */
  context: Context.optional(),
  /** The client's span, in the form of `traceparent`. Invalid values are ignored. */
  trace: z.string().max(256).optional(),
})

export const Cancel = z.object({
  type: z.literal('cancel'),
  id: Id,
  session: Session,
  /** Omitted: the active run. */
  run: Id.optional(),
  seen: Seen.optional(),
})

export const ToolClaim = z.object({ type: z.literal('tool.claim'), id: Id, session: Session, call: Id })

export const ToolResultCommand = z
  .object({
    type: z.literal('tool.result'),
    id: Id,
    session: Session,
    call: Id,
    output: z.unknown().optional(),
    error: z.string().max(LIMITS.toolOutputBytes).optional(),
  })
  .refine(
    (frame) => frame.output === undefined || frame.error === undefined,
    'must have either output or error, not both',
  )

export const ToolDecide = z.object({
  type: z.literal('tool.decide'),
  id: Id,
  session: Session,
  call: Id,
  decision: z.enum(['approve', 'deny']),
  reason: z.string().max(4096).optional(),
})

export const ToolAnswer = z
  .object({
    type: z.literal('tool.answer'),
    id: Id,
    session: Session,
    call: Id,
    question: Id,
    action: QuestionAction,
    /** The values of the form, only with `accept`. Omitted: none. */
    content: FormContent.optional(),
  })
  .refine((frame) => frame.action === 'accept' || frame.content === undefined, 'must have content only with accept')

export const SetPresence = z.object({
  type: z.literal('presence'),
  session: Session,
  state: z.record(z.string(), z.unknown()),
})

export const Ping = z.object({ type: z.literal('ping'), nonce: z.string().max(128).optional() })

export const ClientFrame = z.discriminatedUnion('type', [
  Hello,
  FreshToken,
  Attach,
  Detach,
  Send,
  Cancel,
  ToolClaim,
  ToolResultCommand,
  ToolDecide,
  ToolAnswer,
  SetPresence,
  Ping,
])
export type ClientFrame = z.infer<typeof ClientFrame>
export type ClientFrameType = ClientFrame['type']
/** A client frame about a session that the server answers by its id. */
export type Command = Extract<ClientFrame, { id: string; session: string }>
export type CommandOf<T extends Command['type']> = Extract<Command, { type: T }>
export type SetPresence = z.infer<typeof SetPresence>
export type Hello = z.infer<typeof Hello>
export type FreshToken = z.infer<typeof FreshToken>
export type Attach = z.infer<typeof Attach>
export type Send = z.infer<typeof Send>
export type Cancel = z.infer<typeof Cancel>
export type ToolClaim = z.infer<typeof ToolClaim>
export type ToolResultCommand = z.infer<typeof ToolResultCommand>
export type ToolDecide = z.infer<typeof ToolDecide>
export type ToolAnswer = z.infer<typeof ToolAnswer>

export const CLIENT_FRAME_TYPES: readonly ClientFrameType[] = ClientFrame.options.map(
  (option) => option.shape.type.value,
)
