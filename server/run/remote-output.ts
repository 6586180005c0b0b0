// RemoteOutput: what a remote agent does besides writing and asking for tools: calls that it makes itself, its state, and what it asks
// people. All of it is in the log, so that the next driver can answer the agent.
import { makeId, OUTPUT_LIMITS } from '@parley/protocol'
import { AGENT_MESSAGE, AGENT_RESULTS } from '@parley/protocol/pieces/hidden-data'
import { asOptions } from '../model/agui/agent-model.ts'
import { type AgentPart, STATE_DATA } from '../model/agui/agent-part.ts'
import {
  type Asked,
  agentMarks,
  askedBy,
  isLegacy,
  legacyCommand,
  resultMarks,
  resumeOf,
  withInterrupt,
} from '../model/agui/interrupts.ts'
import { calledAgain } from '../session/commands/call-again.ts'
import { compareAndAppend } from '../session/commands/compare-and-append.ts'
import type { SessionReplica } from '../session/session-replica.ts'
import type { CallState } from '../session/state/call-state.ts'
import { hasCall } from '../session/state/run-output.ts'
import type { RunRecord } from '../session/state/run-record.ts'
import { findCall, findRun } from '../session/state/session-state.ts'
import type { ToolOutcome } from '../tool/run-tool.ts'
import { type ModelToolCall, parseInput } from './model-answer.ts'
import type { RemoteSink } from './model-call.ts'
import type { RunAppender } from './run-appender.ts'
import type { RunExtras } from './run-extras.ts'
import * as Run from './run-state.ts'
import type { RunTools } from './run-tools.ts'
import type { ToolCallSupervisorOptions } from './tool-call-supervisor.ts'
import { appendToolResult } from './tool-result.ts'

export interface RemoteOutputOptions extends ToolCallSupervisorOptions {
  /** The model's id. */
  readonly model: string
  /** The conversation as the agent knows it. */
  readonly thread: string
  /** The state that the agent had at the end of its last answer; undefined: none yet. */
  readonly state: unknown
  /** Milliseconds that a call of the agent may take: at most the run's time. */
  readonly runMs: number
  readonly tools: Pick<RunTools, 'reported' | 'named' | 'waits'>
  readonly extras: Pick<RunExtras, 'callId' | 'reports'>
}

/** Names of the calls for questions that are not about a call of the agent. */
const CONFIRM = 'confirm'
const ASK = 'ask_person'
/** Messages of one driver whose ids are kept. Others get ids from their text. */
const MAX_MESSAGES = 64

export class RemoteOutput implements RemoteSink {
  readonly #options: RemoteOutputOptions
  readonly #session: SessionReplica
  readonly #appender: RunAppender
  readonly #signal: AbortSignal
  /** The agent's ids of the calls of this driver, with those of the log. */
  readonly #calls = new Map<string, string>()
  #state: unknown
  #messages = 0

  /** @param signal aborted when the driver stops */
  constructor(options: RemoteOutputOptions, session: SessionReplica, appender: RunAppender, signal: AbortSignal) {
    this.#options = options
    this.#session = session
    this.#appender = appender
    this.#signal = signal
    this.#state = options.state
  }

  /** What the next request tells the agent besides the prompt. */
  request(): { readonly agui: ReturnType<typeof asOptions>['agui'] } {
    const { step } = this.#appender.state
    const record = this.#record()
    const last = [...(record?.calls.values() ?? [])].filter(
      (call) => call.remote && call.step === step - 1 && hasCall(record?.output, call.id),
    )
    const answers = last.flatMap((call) => {
      const { interrupt, form } = agentMarks(call.marks)
      return interrupt === undefined ? [] : [{ call, answer: resumeOf(interrupt, form ?? '', answerOf(call)) }]
    })
    const command = legacyCommand(answers.map(({ answer }) => answer))
    return asOptions({
      threadId: this.#options.thread,
      state: this.#state ?? {},
      resume: answers.map(({ answer }) => answer).filter(({ interruptId }) => !isLegacy(interruptId)),
      pending: last.flatMap((call) => {
        const { call: own, interrupt } = agentMarks(call.marks)
        return own !== undefined && (interrupt !== undefined || call.result === undefined) ? [own] : []
      }),
      ...(command === undefined ? {} : { command }),
    })
  }

  /** The agent makes a call itself. @returns its id in the log */
  async ran(call: ModelToolCall): Promise<string> {
    const id = this.#options.extras.callId(call.id)
    this.#called(id, call.name, parseInput(call.input) ?? call.input, call.marks)
    this.#calls.set(call.id, id)
    this.#options.tools.reported(id, call.name)
    return id
  }

  /** An answer that is read again has repeated a call that the log has. @param id the agent's */
  resumed(id: string, call: CallState): void {
    this.#calls.set(id, call.id)
    this.#options.tools.reported(call.id, call.name)
  }

  /** The answer has repeated a question to people that the log has. */
  waits({ id, name }: CallState): void {
    this.#options.tools.waits(id, name)
  }

  /** The agent has the result of a call. @param id the agent's */
  async gave(id: string, outcome: ToolOutcome, message?: string): Promise<void> {
    const call = this.#idInLog(id)
    if (call === undefined) return
    await this.#stored(call)
    const { name, result } = this.#call(call) ?? {}
    // Also of a call of an earlier answer, about which the agent has asked.
    if (name !== undefined && result === undefined) this.#options.tools.reported(call, name)
    const marks = message === undefined ? {} : { marks: resultMarks(this.#options.model, message) }
    await appendToolResult(this.#options, this.#session, call, { ...outcome, ...marks })
  }

  /** @returns whether the agent waits for people */
  async take(part: AgentPart): Promise<boolean> {
    if (part.type === 'state') {
      this.#state = part.state
      // Later messages then have none, rather than an older one.
      const isKept = Buffer.byteLength(JSON.stringify(part.state)) <= OUTPUT_LIMITS.dataBytes
      const data = isKept ? part.state : null
      this.#appender.apply((state) => Run.given(state, { kind: 'data', name: STATE_DATA, id: STATE_DATA, data }))
    }
    if (part.type === 'message' && this.#messages < MAX_MESSAGES) {
      this.#messages += 1
      const data = { id: part.id }
      this.#appender.apply((state) => Run.given(state, { kind: 'data', name: AGENT_MESSAGE, data }))
    }
    if (part.type === 'results') this.#named(part.ids)
    if (part.type !== 'interrupts') return false
    for (const interrupt of part.interrupts) await this.#ask(askedBy(interrupt), interrupt.toolCallId ?? undefined)
    return true
  }

  /** The answer is complete. Calls without a result have none, unless the agent waits for people. */
  async finished(waits: boolean): Promise<void> {
    if (waits) return
    await this.#allStored()
    for (const call of this.#unresolved())
      await appendToolResult(this.#options, this.#session, call, { error: NO_RESULT })
  }

  /** The next requests have the results under these ids: an agent with a memory would otherwise keep them twice. */
  #named(ids: Extract<AgentPart, { type: 'results' }>['ids']): void {
    const known = ids.flatMap(([call, message]) => {
      const id = this.#idInLog(call)
      return id === undefined ? [] : [[id, message] as const]
    })
    for (const [id, message] of known) this.#options.tools.named(id, message)
    const data = Object.fromEntries(known)
    if (Buffer.byteLength(JSON.stringify(data)) > OUTPUT_LIMITS.dataBytes) return
    this.#appender.apply((state) => Run.given(state, { kind: 'data', name: AGENT_RESULTS, data }))
  }

  async #ask(asked: Asked, toolCallId: string | undefined): Promise<void> {
    await this.#allStored()
    const about = this.#callAbout(asked, toolCallId)
    if (about === undefined) {
      const { model } = this.#options
      const name = asked.schema === undefined ? CONFIRM : ASK
      const { message, schema } = asked
      const input = schema === undefined ? { message } : { message, schema }
      const id = makeId('call')
      this.#called(id, name, input, withInterrupt(model, asked, undefined), asked)
      this.#options.tools.waits(id, name)
      return
    }
    await compareAndAppend(this.#options.log, this.#session, (state) => {
      const found = findCall(state, about)
      if (found === undefined || found.run.phase === 'ended' || found.call.result !== undefined) return undefined
      const marks = withInterrupt(this.#options.model, asked, found.call.marks)
      const again = { ...found.call, marks, approval: true, until: this.#until() }
      return { subject: `tool.${about}`, expect: found.call.last, event: calledAgain(again) }
    })
    this.#options.tools.waits(about, this.#call(about)?.name ?? '')
  }

  /** By the agent's id, or the only open call with the name. @returns its id in the log */
  #callAbout({ about, schema }: Asked, toolCallId: string | undefined): string | undefined {
    if (schema !== undefined) return undefined
    if (toolCallId !== undefined) return this.#idInLog(toolCallId)
    const named = this.#unresolved().filter((call) => this.#call(call)?.name === about)
    return about !== undefined && named.length === 1 ? named[0] : undefined
  }

  #called(call: string, name: string, input: unknown, marks: string | undefined, asked?: Asked): void {
    const approval = asked !== undefined && asked.schema === undefined
    const until = asked === undefined ? Date.now() + this.#options.runMs : this.#until()
    const item = { type: 'call', call, name, input, where: 'server', approval, until, remote: true } as const
    this.#appender.apply((state) => Run.called(state, marks === undefined ? item : { ...item, marks }))
  }

  async #allStored(): Promise<void> {
    for (const call of this.#calls.values()) await this.#stored(call)
  }

  async #stored(call: string): Promise<void> {
    await this.#session.until(() => this.#call(call), this.#signal)
  }

  /** @param id the agent's, of a call of this or an earlier answer, also of an earlier driver */
  #idInLog(id: string): string | undefined {
    const known = this.#calls.get(id)
    if (known !== undefined) return known
    const calls = [...(this.#record()?.calls.values() ?? [])]
    return calls.findLast((call) => call.remote && agentMarks(call.marks).call === id)?.id
  }

  #unresolved(): string[] {
    const calls = [...(this.#record()?.calls.values() ?? [])]
    return calls.filter((call) => call.remote && call.result === undefined).map((call) => call.id)
  }

  #until(): number {
    return Date.now() + this.#options.approvalMs
  }

  #call(id: string): CallState | undefined {
    return this.#record()?.calls.get(id)
  }

  #record(): RunRecord | undefined {
    return findRun(this.#session.state, this.#appender.state.about.run)
  }
}

/** What the person said; undefined if nobody did in time. */
function answerOf(call: CallState): Parameters<typeof resumeOf>[2] {
  if (call.decision !== undefined) return { decision: call.decision, reason: call.reason }
  const answer = call.questions.at(-1)?.answer
  return answer?.action === 'accept' ? { content: answer.content ?? {} } : undefined
}

const NO_RESULT = 'The remote agent reported no result of this call.'
