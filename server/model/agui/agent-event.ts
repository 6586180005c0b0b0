// AgentEvent: the events of a remote agent's stream (AG-UI 1.0 and 0.0.x), as far as a run uses them. Servers send `null` for absent
// fields, and events that this server does not know: both are harmless.
import { jsonCodec } from '@parley/protocol'
import { z } from 'zod'
import { ProviderStreamError } from '../provider-failure.ts'

const text = z.string()
const maybe = text.nullish()
const anything = z.unknown().optional()
/** Output of a sub-agent of the remote agent names its run. */
const by = { subagentRunId: maybe }

const Interrupt = z.object({
  id: text.min(1).max(512),
  reason: maybe,
  message: maybe,
  toolCallId: maybe,
  responseSchema: z.record(z.string(), z.unknown()).nullish(),
  metadata: anything,
})
export type AgentInterrupt = z.infer<typeof Interrupt>

const count = z.number().nullish()
const Usage = z.object({
  inputTokens: count,
  outputTokens: count,
  reasoningTokens: count,
  cachedInputTokens: count,
  cacheWriteInputTokens: count,
})
export type AgentUsage = z.infer<typeof Usage>

const ContentPart = z.looseObject({ type: text, text: maybe })
const Content = z.union([text, z.array(ContentPart)])

const SnapshotMessage = z.looseObject({
  id: text,
  role: text,
  content: anything,
  /** Read only from messages that are new. */
  toolCalls: anything,
  toolCallId: anything,
})
export type SnapshotMessage = z.infer<typeof SnapshotMessage>

const SCHEMAS = {
  RUN_FINISHED: z.object({
    type: z.literal('RUN_FINISHED'),
    outcome: z.looseObject({ type: text, interrupts: z.array(Interrupt).max(64).nullish() }).nullish(),
    usage: z.array(Usage).nullish(),
  }),
  RUN_ERROR: z.object({ type: z.literal('RUN_ERROR'), message: maybe, code: maybe }),
  TEXT_MESSAGE_START: z.object({ type: z.literal('TEXT_MESSAGE_START'), messageId: text, role: maybe, ...by }),
  TEXT_MESSAGE_CONTENT: z.object({ type: z.literal('TEXT_MESSAGE_CONTENT'), messageId: text, delta: text, ...by }),
  TEXT_MESSAGE_END: z.object({ type: z.literal('TEXT_MESSAGE_END'), messageId: text }),
  TEXT_MESSAGE_CHUNK: z.object({
    type: z.literal('TEXT_MESSAGE_CHUNK'),
    messageId: maybe,
    role: maybe,
    delta: maybe,
    ...by,
  }),
  REASONING_MESSAGE_CONTENT: z.object({ type: z.literal('REASONING_MESSAGE_CONTENT'), messageId: text, delta: text }),
  REASONING_MESSAGE_CHUNK: z.object({ type: z.literal('REASONING_MESSAGE_CHUNK'), messageId: maybe, delta: maybe }),
  THINKING_TEXT_MESSAGE_CONTENT: z.object({ type: z.literal('THINKING_TEXT_MESSAGE_CONTENT'), delta: text }),
  TOOL_CALL_START: z.object({
    type: z.literal('TOOL_CALL_START'),
    toolCallId: text.min(1).max(512),
    toolCallName: text,
    parentMessageId: maybe,
  }),
  TOOL_CALL_ARGS: z.object({ type: z.literal('TOOL_CALL_ARGS'), toolCallId: text, delta: text }),
  TOOL_CALL_END: z.object({ type: z.literal('TOOL_CALL_END'), toolCallId: text }),
  TOOL_CALL_CHUNK: z.object({
    type: z.literal('TOOL_CALL_CHUNK'),
    toolCallId: maybe,
    toolCallName: maybe,
    parentMessageId: maybe,
    delta: maybe,
  }),
  TOOL_CALL_RESULT: z.object({
    type: z.literal('TOOL_CALL_RESULT'),
    messageId: maybe,
    toolCallId: text,
    content: Content,
  }),
  STATE_SNAPSHOT: z.object({ type: z.literal('STATE_SNAPSHOT'), snapshot: anything }),
  STATE_DELTA: z.object({ type: z.literal('STATE_DELTA'), delta: z.array(z.unknown()) }),
  MESSAGES_SNAPSHOT: z.object({ type: z.literal('MESSAGES_SNAPSHOT'), messages: z.array(SnapshotMessage) }),
  CUSTOM: z.object({ type: z.literal('CUSTOM'), name: text, value: anything }),
} as const

export type AgentEvent = { [Type in keyof typeof SCHEMAS]: z.infer<(typeof SCHEMAS)[Type]> }[keyof typeof SCHEMAS]

/**
 * @param data of one server-sent event
 * @returns undefined for an event that a run does not use
 * @throws ProviderStreamError provider_garbage if it is not JSON, nested too deeply, or a known event lacks what it needs
 */
export function readAgentEvent(data: string): AgentEvent | undefined {
  // Some servers end their streams like OpenAI's.
  if (data.trim() === '[DONE]') return undefined
  const event = parsed(data)
  const type = typeof event === 'object' && event !== null && 'type' in event ? event.type : undefined
  if (typeof type !== 'string') throw new ProviderStreamError('provider_garbage', NOT_AN_EVENT)
  if (!Object.hasOwn(SCHEMAS, type)) return undefined
  const read = SCHEMAS[type as keyof typeof SCHEMAS].safeParse(event)
  if (read.success) return read.data
  throw new ProviderStreamError('provider_garbage', `The remote agent sent an invalid ${type} event.`)
}

const NOT_AN_EVENT = 'The remote agent sent something that is not an AG-UI event.'

function parsed(data: string): unknown {
  try {
    return jsonCodec.decode(data)
  } catch {
    throw new ProviderStreamError('provider_garbage', NOT_AN_EVENT)
  }
}
