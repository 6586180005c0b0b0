// InputRequest: what a run needs from a person, as an elicitation of MCP: the approval of a tool call, or the answer to a question of a
// running tool. The run waits for its child runs, so theirs are asked, too. Pure.
import { type Event, FormContent, type ToolAnswer, type ToolDecide } from '@parley/protocol'
import type { FoundRun } from '../../session/run-report.ts'
import {
  applyToCall,
  awaitsDecision,
  type CallState,
  openQuestion,
  type QuestionState,
} from '../../session/state/call-state.ts'
import { openBelow } from '../../session/state/child-runs.ts'
import type { Seq } from '../../store/ports/entry.ts'
import { digest } from '../http/command-id.ts'
import { isObject, type Params } from './rpc.ts'

export interface InputRequest {
  /** The id of the call; for a question followed by `.` and the question's id. */
  readonly key: string
  readonly call: Pick<CallState, 'id' | 'name' | 'input'>
  /** Undefined: the call needs an approval. */
  readonly question?: Pick<QuestionState, 'question' | 'message' | 'schema'>
}

/** What the run, and the child runs that it waits for, need now. */
export function openRequests(found: FoundRun): readonly InputRequest[] {
  return openRuns(found).flatMap(({ calls }) => [...calls.values()].flatMap((call) => requestOf(call) ?? []))
}

/** The run and the child runs that it waits for. */
export function openRuns({ state, record }: FoundRun) {
  return record.ended === undefined ? [record, ...openBelow(state, record.id)] : []
}

function requestOf(call: CallState): InputRequest | undefined {
  if (awaitsDecision(call)) return { key: call.id, call }
  const question = openQuestion(call)
  return question && { key: `${call.id}.${question.question}`, call, question }
}

/** The requests that open and close while a client follows a run. */
export class RequestFeed {
  readonly #calls: Map<string, CallState>
  /** Every call up to this entry that is not in `#calls` has ended. */
  readonly #known: Seq
  /** The number of the newest attempt of each run. */
  readonly #epochs = new Map<string, number>()
  readonly #opened = new Set<string>()
  /** The keys of those that the client has, and that no one has answered. */
  readonly #shown = new Set<string>()

  /** @param found the run as this node knows it */
  constructor(found: FoundRun) {
    this.#calls = new Map(openRuns(found).flatMap(({ calls }) => [...calls]))
    this.#known = found.state.seq
  }

  /**
   * @param event the next event of the run, or of a child run; those that `found` includes already come first
   * @param isSeen the client has the event from an earlier stream
   * @returns the request that it opens for the client, unless it was answered meanwhile; each request once
   */
  take(seq: Seq, event: Event, isSeen: boolean): InputRequest | undefined {
    const request = this.#open(seq, event)
    if (isSeen && event.type === 'tool.called' && event.approval) this.#shown.add(event.call)
    if (isSeen && event.type === 'tool.asked') this.#shown.add(`${event.call}.${event.question}`)
    if (isSeen || request === undefined) return undefined
    this.#shown.add(request.key)
    return request
  }

  /** @returns the keys of the client's requests that the event closes: it answers them, or their call has a result */
  closedBy(event: Event): readonly string[] {
    if (event.type !== 'tool.decided' && event.type !== 'tool.answered' && event.type !== 'tool.result') return []
    const { call } = event
    const question = event.type === 'tool.answered' ? `${call}.${event.question}` : undefined
    const isClosed = (key: string): boolean =>
      event.type === 'tool.result' ? key === call || key.startsWith(`${call}.`) : key === (question ?? call)
    return [...this.#shown].filter(isClosed).filter((key) => this.#shown.delete(key))
  }

  #open(seq: Seq, event: Event): InputRequest | undefined {
    if (event.type === 'run.started') this.#epochs.set(event.run, event.epoch)
    if (!('call' in event) || !event.type.startsWith('tool.')) return undefined
    const call = this.#apply(seq, event as Parameters<typeof applyToCall>[3])
    const request = call && requestOf(call)
    const opens = request?.question === undefined ? 'tool.called' : 'tool.asked'
    if (request === undefined || event.type !== opens || this.#opened.has(request.key)) return undefined
    if (event.type === 'tool.asked' && event.question !== request.question?.question) return undefined
    this.#opened.add(request.key)
    return request
  }

  /** Whether the call waits for a person. */
  awaits(call: string): boolean {
    const known = this.#calls.get(call)
    return known !== undefined && requestOf(known) !== undefined
  }

  #apply(seq: Seq, event: Parameters<typeof applyToCall>[3]): CallState | undefined {
    const known = this.#calls.get(event.call)
    if (seq <= (known?.last ?? this.#known)) return known
    // A call of a replaced driver does not count.
    const isLate = event.type === 'tool.called' && (event.epoch ?? Infinity) < (this.#epochs.get(event.run) ?? 0)
    // The times of a call are not needed.
    const call = isLate ? known : applyToCall(known, seq, 0, event)
    if (call !== undefined) this.#calls.set(call.id, call)
    return call
  }
}

/** Characters of the input that the question shows. */
const INPUT_CHARS = 2_000

/** The parameters of `elicitation/create`. */
export function formOf({ call: { name, input }, question }: InputRequest) {
  if (question !== undefined) return { mode: 'form', message: question.message, requestedSchema: question.schema }
  const text = JSON.stringify(input)
  const shown = text.length > INPUT_CHARS ? `${text.slice(0, INPUT_CHARS)}…` : text
  return {
    mode: 'form',
    message: `The agent wants to run the tool ${name} with this input: ${shown}`,
    requestedSchema: {
      type: 'object',
      properties: {
        approve: { type: 'boolean', title: 'Approve' },
        reason: { type: 'string', title: 'Reason (sent to the model)', maxLength: 1_000 },
      },
      required: ['approve'],
    },
  }
}

/** The `inputRequests` of a modern answer. */
export function inputRequestsOf(requests: readonly InputRequest[]) {
  return Object.fromEntries(requests.map((each) => [each.key, { method: 'elicitation/create', params: formOf(each) }]))
}

/** What a run waits for, for the people who read its progress. */
export function wordsOf({ call, question }: InputRequest): string {
  return question === undefined ? `Waiting for approval of ${call.name}.` : `${call.name} asks: ${question.message}`
}

/** The id of the command with which a user answers a request over MCP. */
export function answerId(session: string, user: string, key: string): string {
  return `mcp_${digest(user, session, key)}`
}

/**
 * The command that an ElicitResult stands for. A dismissed form denies the call, because nobody would answer it.
 * @param key of the request
 * @returns undefined if the answer is malformed
 */
export function commandOf(
  { session, user }: { readonly session: string; readonly user: string },
  key: string,
  answer: unknown,
): ToolDecide | ToolAnswer | undefined {
  if (!isObject(answer)) return undefined
  const { action, content } = answer
  if (action !== 'accept' && action !== 'decline' && action !== 'cancel') return undefined
  const [call = '', question] = key.split('.')
  const about = { id: answerId(session, user, key), session, call }
  if (question === undefined) {
    const decided = action === 'accept' ? decisionIn(content) : { decision: 'deny' as const }
    return decided && { type: 'tool.decide', ...about, ...decided }
  }
  if (action !== 'accept') return { type: 'tool.answer', ...about, question, action }
  // A form without fields may have no content.
  const { data } = FormContent.safeParse(content ?? {})
  return data && { type: 'tool.answer', ...about, question, action, content: data }
}

function decisionIn(content: unknown): Pick<ToolDecide, 'decision' | 'reason'> | undefined {
  const { approve, reason }: Params = isObject(content) ? content : {}
  if (typeof approve !== 'boolean') return undefined
  const words = typeof reason === 'string' && reason !== '' ? { reason: reason.slice(0, 1_000) } : {}
  return { decision: approve ? 'approve' : 'deny', ...words }
}
