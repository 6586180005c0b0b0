// RunTrace: the spans of one driver of a run: the wait in the queue, the driver's own time, each model call and each tool call.
// Their parent is the span that accepted the message, on any node, so one trace shows all drivers of a run. A killed driver sends
// nothing. A few spans per run, none per token, and no user content.
import type { MessageEvent, RunEnded } from '@parley/protocol'
import { providerLabel } from '../metric/labels.ts'
import type { Span, SpanAttributes, Tracer } from '../trace/tracer.ts'
import type { ModelFinish } from './model-answer.ts'
import { ModelFailure } from './model-call.ts'
import type { AboutRun } from './run-state.ts'

/** The outcome of a tool call. */
export type ToolOutcome = 'given' | 'failed' | 'denied' | 'left'

export class RunTrace {
  readonly #tracer: Tracer
  readonly #parent: string | undefined
  readonly #about: SpanAttributes
  readonly #driver: Span
  /** The current model call, until its first output. */
  #waiting: { readonly call: Span; readonly since: number } | undefined
  #hasOutput = false

  constructor(tracer: Tracer, session: string, message: MessageEvent | undefined, about: AboutRun) {
    this.#tracer = tracer
    this.#parent = message?.trace
    this.#about = { 'gen_ai.conversation.id': session, 'parley.run.id': about.run }
    const { agent } = about
    this.#driver = tracer.start(agent === undefined ? 'invoke_agent' : `invoke_agent ${agent}`, {
      kind: 'internal',
      parent: this.#parent,
      attributes: {
        ...this.#about,
        'gen_ai.operation.name': 'invoke_agent',
        'gen_ai.agent.name': agent,
        ...modelAttributes(about.model),
        'parley.message.id': about.message,
        'parley.run.epoch': about.epoch,
        'parley.door': message?.door,
        'parley.variant': message?.variant,
      },
    })
  }

  /**
   * The log has the driver's `run.started`.
   * @param waited the time before the first driver, in Unix milliseconds by the log's clock
   */
  began(
    mode: 'new' | 'continue' | 'restart',
    waited: { readonly from: number; readonly to: number } | undefined,
  ): void {
    this.#driver.set({ 'parley.run.mode': mode })
    if (waited === undefined) return
    const { from, to } = waited
    const attributes = this.#about
    this.#tracer.start('wait in queue', { kind: 'internal', parent: this.#parent, attributes, from }).end(to)
  }

  /** The log has the first output of a model call, so readers can see it. */
  firstOutput(): void {
    if (!this.#hasOutput) this.#driver.event('first token')
    this.#hasOutput = true
    if (this.#waiting === undefined) return
    const { call, since } = this.#waiting
    this.#waiting = undefined
    call.set({ 'gen_ai.response.time_to_first_chunk': (performance.now() - since) / 1000 })
  }

  /** One model call. Resolves or rejects as the call does. */
  async called(
    model: string,
    maxTokens: number,
    attempt: number,
    work: () => Promise<ModelFinish>,
  ): Promise<ModelFinish> {
    const call = this.#tracer.start(`chat ${model}`, {
      kind: 'client',
      parent: this.#driver,
      attributes: {
        ...this.#about,
        'gen_ai.operation.name': 'chat',
        ...modelAttributes(model),
        'gen_ai.request.max_tokens': maxTokens,
        'gen_ai.request.stream': true,
        'parley.attempt': attempt,
      },
    })
    this.#waiting = { call, since: performance.now() }
    try {
      const finish = await work()
      const { inputTokens, outputTokens } = finish.usage
      call.set({
        'gen_ai.usage.input_tokens': inputTokens,
        'gen_ai.usage.output_tokens': outputTokens,
        'parley.finish_reason': finish.reason,
      })
      return finish
    } catch (error) {
      if (error instanceof ModelFailure) call.failed(error.code)
      else call.set({ 'parley.finish_reason': 'stopped' })
      throw error
    } finally {
      call.end()
    }
  }

  /**
   * A tool call, from now until its result.
   * @param name undefined for an unknown tool, because the model made up the name
   * @returns a function that ends the span
   */
  tool(call: string, name: string | undefined, where: 'client' | 'server'): (outcome: ToolOutcome) => void {
    const span = this.#tracer.start(`execute_tool ${name ?? 'unknown'}`, {
      kind: 'internal',
      parent: this.#driver,
      attributes: {
        ...this.#about,
        'gen_ai.operation.name': 'execute_tool',
        'gen_ai.tool.name': name,
        'gen_ai.tool.type': 'function',
        'gen_ai.tool.call.id': call,
        'parley.tool.where': where,
      },
    })
    return (outcome) => {
      if (outcome === 'failed' || outcome === 'denied') span.failed(outcome === 'denied' ? 'denied' : 'tool_error')
      span.end()
    }
  }

  /**
   * The driver is done.
   * @param ended the end of the run; undefined if another driver continues it
   */
  done(ended: RunEnded | undefined, isHandedOver: boolean): void {
    this.#driver.set({
      'parley.run.outcome': ended?.reason ?? (isHandedOver ? 'handed_over' : 'lost'),
      'gen_ai.usage.input_tokens': ended?.usage.inputTokens,
      'gen_ai.usage.output_tokens': ended?.usage.outputTokens,
    })
    if (ended?.reason === 'failed') this.#driver.failed(ended.error?.code ?? '_OTHER')
    this.#driver.end()
  }
}

function modelAttributes(model: string): SpanAttributes {
  return { 'gen_ai.provider.name': providerLabel(model), 'gen_ai.request.model': model }
}
