// Interrupts: what a remote agent asks people, as a decision about a call or as a question with a form, and their answers in the
// agent's form. The marks of a call (see provider-marks.ts) keep which interrupt it answers, so any driver can answer it. Pure.
import { type CallMarks, FormSchema, LIMITS, parseMarks, stringifyJson } from '@parley/protocol'
import type { AgentInterrupt } from './agent-event.ts'
import type { PersonAnswer } from './agent-part.ts'

/** LangGraph's own event for an interrupt, which it sends by default instead of the protocol's outcome. */
export const ON_INTERRUPT = 'on_interrupt'

/**
 * How the answer is written. `approve`: `{ approved, reason? }`. `fields`: the values of a form. `text`: one text. `json`: one text, which
 * may be JSON. `decisions:N`: LangChain's list of N equal decisions.
 */
type Form = 'approve' | 'fields' | 'text' | 'json' | `decisions:${number}`

export interface Asked {
  readonly interrupt: string
  readonly form: Form
  /** For the person. */
  readonly message: string
  /** The name of the call that it is about, if only that is known. */
  readonly about: string | undefined
  /** Undefined: a decision, not a question. */
  readonly schema: FormSchema | undefined
}

const MAX_MESSAGE = 4_000

export function askedBy(interrupt: AgentInterrupt): Asked {
  const { id, reason, message, responseSchema } = interrupt
  const actions = actionsOf(interrupt)
  if (actions.length > 0) {
    const words = actions.map(({ name, args }) => `${name}(${stringifyJson(args ?? {})})`).join(', ')
    const about = actions.length === 1 ? actions[0]?.name : undefined
    return asked(id, `decisions:${actions.length}`, message ?? `Approve ${words}?`, undefined, about)
  }
  const text = message ?? reason ?? 'The agent waits for an answer.'
  if (isDecision(interrupt)) return asked(id, 'approve', text)
  if (responseSchema == null) return asked(id, 'text', text, ANSWER)
  const flat = FormSchema.safeParse(responseSchema)
  if (flat.success && stringifyJson(flat.data).length <= LIMITS.formBytes) return asked(id, 'fields', text, flat.data)
  return asked(
    id,
    'json',
    `${text}\n\nThe answer must match this JSON Schema: ${stringifyJson(responseSchema)}`,
    ANSWER,
  )
}

function asked(interrupt: string, form: Form, message: string, schema?: FormSchema, about?: string): Asked {
  return { interrupt, form, message: message.slice(0, MAX_MESSAGE), about, schema }
}

const ANSWER: FormSchema = { type: 'object', properties: { answer: { type: 'string' } }, required: ['answer'] }

/** An interrupt about a call, or whose answer says whether something is approved. */
function isDecision({ reason, toolCallId, responseSchema }: AgentInterrupt): boolean {
  if (responseSchema == null) return toolCallId != null || /confirm|approv|tool_call/i.test(reason ?? '')
  const { properties } = responseSchema
  return typeof properties === 'object' && properties !== null && 'approved' in properties
}

interface Action {
  readonly name: string
  readonly args?: unknown
}

/** The calls that LangChain's human-in-the-loop middleware asks about. */
function actionsOf({ metadata }: AgentInterrupt): readonly Action[] {
  const raw = fieldOf(fieldOf(metadata, 'langgraph'), 'raw')
  const actions = fieldOf(raw, 'action_requests')
  if (!Array.isArray(actions)) return []
  return actions.slice(0, 64).map((action) => ({
    name: String(fieldOf(action, 'name') ?? fieldOf(action, 'action') ?? 'a call'),
    args: fieldOf(action, 'args') ?? fieldOf(action, 'arguments'),
  }))
}

/** @param value what the graph gave to `interrupt()`, or its JSON */
export function legacyInterrupt(value: unknown, at: number): AgentInterrupt {
  const given = typeof value === 'string' ? parsed(value) : value
  const text = (...names: string[]): string | undefined =>
    names.map((name) => fieldOf(given, name)).find((field): field is string => typeof field === 'string')
  const schema = fieldOf(given, 'responseSchema') ?? fieldOf(given, 'response_schema')
  return {
    id: `${ON_INTERRUPT}_${at}`,
    reason: text('reason'),
    message: typeof given === 'string' ? given : (text('message', 'question') ?? undefined),
    toolCallId: text('toolCallId', 'tool_call_id'),
    responseSchema: typeof schema === 'object' ? (schema as AgentInterrupt['responseSchema']) : undefined,
    metadata: { langgraph: { raw: given } },
  }
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined
}

/** A text that is not JSON stays a text. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** The marks of a call that waits for the answer. @param marks what the call has already */
export function withInterrupt(model: string, { interrupt, form }: Asked, marks: string | undefined): string {
  const { call, ...before } = parseMarks(marks) ?? { model }
  const all: CallMarks = { ...before, call: { agui: { ...call?.agui, interrupt, form } } }
  return JSON.stringify(all)
}

export interface AgentMarks {
  /** The agent's id of the call. Absent: the call only stands for an interrupt. */
  readonly call?: string
  readonly interrupt?: string
  readonly form?: string
  /** Of a result: the agent's id of that message. */
  readonly result?: string
}

/** The marks of a result that the agent reported. */
export function resultMarks(model: string, result: string): string {
  return JSON.stringify({ model, call: { agui: { result } } } satisfies CallMarks)
}

export function agentMarks(marks: string | undefined): AgentMarks {
  return parseMarks(marks)?.call?.agui ?? {}
}

export type Reply =
  | { readonly decision: 'approve' | 'deny'; readonly reason?: string | undefined }
  | { readonly content: Readonly<Record<string, unknown>> }
  /** Nobody answered in time, or the person refused to. */
  | undefined

/** The answer in the agent's form. */
export function resumeOf(interruptId: string, form: string, answer: Reply): PersonAnswer {
  if (answer === undefined) return { interruptId, status: 'cancelled' }
  return { interruptId, status: 'resolved', payload: payloadOf(form, answer) }
}

function payloadOf(form: string, answer: NonNullable<Reply>): unknown {
  if ('content' in answer) {
    if (form === 'fields') return answer.content
    const text = String(answer.content.answer ?? '')
    return form === 'json' ? parsed(text) : text
  }
  const approved = answer.decision === 'approve'
  const reason = answer.reason === undefined || answer.reason === '' ? {} : { reason: answer.reason }
  if (!form.startsWith('decisions:')) return approved ? { approved } : { approved, ...reason }
  const decision = approved
    ? { type: 'approve' }
    : { type: 'reject', message: answer.reason ?? 'The person denied it.' }
  return { decisions: Array.from({ length: Number(form.slice('decisions:'.length)) }, () => decision) }
}

/** What LangGraph gets for interrupts that it sent as events of its own; undefined if there are none. */
export function legacyCommand(answers: readonly PersonAnswer[]): { readonly resume: unknown } | undefined {
  const payloads = answers
    .filter(({ interruptId }) => isLegacy(interruptId))
    .map(({ status, payload }) => (status === 'resolved' ? payload : { cancelled: true }))
  if (payloads.length === 0) return undefined
  return { resume: payloads.length === 1 ? payloads[0] : payloads }
}

export function isLegacy(interrupt: string): boolean {
  return interrupt.startsWith(`${ON_INTERRUPT}_`)
}
