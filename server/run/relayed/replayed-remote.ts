// ReplayedRemote: what a remote agent does besides writing, in an answer that this driver reads again from its beginning. It passes on
// what the log lacks.
import type { SharedV3ProviderOptions } from '@ai-sdk/provider'
import { AGENT_MESSAGE } from '@parley/protocol/pieces/hidden-data'
import { type AgentPart, STATE_DATA } from '../../model/agui/agent-part.ts'
import { agentMarks } from '../../model/agui/interrupts.ts'
import { toParts } from '../../session/state/run-output.ts'
import type { RunRecord } from '../../session/state/run-record.ts'
import type { ToolOutcome } from '../../tool/run-tool.ts'
import type { ModelToolCall } from '../model-answer.ts'
import type { RemoteSink } from '../model-call.ts'
import type { RemoteOutput } from '../remote-output.ts'
import type { ReplayedStep } from './replayed-step.ts'

export class ReplayedRemote implements RemoteSink {
  readonly #remote: RemoteOutput
  readonly #step: ReplayedStep
  readonly #record: RunRecord
  readonly #resume: (id: string) => void
  /** Ids of the agent's messages in the log. */
  readonly #messages: ReadonlySet<unknown>
  readonly #hasState: boolean
  /** Older than what readers have, until the answer has repeated all that the log has. */
  #state: Extract<AgentPart, { type: 'state' }> | undefined

  /** @param record of the run, when this driver started @param resume keeps the id of a call whose arguments the log has */
  constructor(remote: RemoteOutput, step: ReplayedStep, record: RunRecord, resume: (id: string) => void) {
    this.#remote = remote
    this.#resume = resume
    this.#step = step
    this.#record = record
    const data = toParts(record.output).flatMap((part) => (part.type === 'data' ? [part] : []))
    this.#hasState = data.some(({ name }) => name === STATE_DATA)
    this.#messages = new Set(data.flatMap((part) => (part.name === AGENT_MESSAGE ? [idOf(part.data)] : [])))
  }

  request(): SharedV3ProviderOptions {
    const options = this.#remote.request()
    // The answer changes a state that the log has only as changed.
    return this.#hasState ? { agui: { ...options.agui, isStateLost: true } } : options
  }

  async ran(call: ModelToolCall): Promise<string> {
    const known = this.#step.ran(call)
    if (known === undefined) {
      this.#resume(call.id)
      return this.#remote.ran(call)
    }
    this.#remote.resumed(call.id, known)
    return known.id
  }

  gave(id: string, outcome: ToolOutcome, message?: string): Promise<void> {
    return this.#remote.gave(id, outcome, message)
  }

  async take(part: AgentPart): Promise<boolean> {
    if (part.type === 'message' && this.#messages.has(part.id)) return false
    if (part.type === 'state' && !this.#step.isRepeated) {
      this.#state = part
      return false
    }
    if (part.type === 'state') this.#state = undefined
    if (part.type !== 'interrupts') return this.#remote.take(part)
    const interrupts = part.interrupts.filter(({ id }) => {
      const asked = [...this.#record.calls.values()].find(({ marks }) => agentMarks(marks).interrupt === id)
      if (asked === undefined) return true
      this.#step.drop(asked.id)
      this.#remote.waits(asked)
      return false
    })
    if (interrupts.length > 0) await this.#remote.take({ type: 'interrupts', interrupts })
    return true
  }

  async finished(waits: boolean): Promise<void> {
    if (this.#state !== undefined) await this.#remote.take(this.#state)
    await this.#remote.finished(waits)
  }
}

function idOf(data: unknown): unknown {
  return typeof data === 'object' && data !== null && 'id' in data ? data.id : undefined
}
