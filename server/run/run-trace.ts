// RunTrace: what one owner of a run tells of it as spans: how long the run waited, the owner's own time, each call of the model and
// each tool. They hang on the span in which the message was taken, on whichever node that was, so that the owners of one run stand
// side by side in one trace; one that was killed sends nothing. A few spans a run, none a token, and nothing that anybody wrote.
import type { MessageEvent, RunEnded } from '@parley/protocol'
import { providerLabel } from '../metric/labels.ts'
import type { Span, SpanAttributes, Tracer } from '../trace/tracer.ts'
import { ModelFailure, type ModelFinish } from './model-call.ts'
import type { AboutRun } from './run-state.ts'

/** How a call of a tool came out. */
export type ToolOutcome = 'given' | 'failed' | 'denied' | 'left'

export class RunTrace {
  readonly #tracer: Tracer
  readonly #parent: string | undefined
  readonly #about: SpanAttributes
  readonly #owner: Span
  /** Of the model call under way, until its first output. */
  #silent: { readonly call: Span; readonly since: number } | undefined
  #hasSpoken = false

  constructor(tracer: Tracer, session: string, message: MessageEvent | undefined, about: AboutRun) {
    this.#tracer = tracer
    this.#parent = message?.trace
    this.#about = { 'gen_ai.conversation.id': session, 'parley.run.id': about.run }
    const agent = message?.agent
    this.#owner = tracer.start(agent === undefined ? 'invoke_agent' : `invoke_agent ${agent}`, {
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
   * The log has the owner's start.
   * @param waited from when to when the run waited for its first owner, in Unix milliseconds by the log's clock
   */
  began(
    mode: 'new' | 'continue' | 'restart',
    waited: { readonly from: number; readonly to: number } | undefined,
  ): void {
    this.#owner.set({ 'parley.run.mode': mode })
    if (waited === undefined) return
    const { from, to } = waited
    const attributes = this.#about
    this.#tracer.start('wait in queue', { kind: 'internal', parent: this.#parent, attributes, from }).end(to)
  }

  /** The log has the first output of a model call: now it can be seen. */
  spoke(): void {
    if (!this.#hasSpoken) this.#owner.event('first token')
    this.#hasSpoken = true
    if (this.#silent === undefined) return
    const { call, since } = this.#silent
    this.#silent = undefined
    call.set({ 'gen_ai.response.time_to_first_chunk': (performance.now() - since) / 1000 })
  }

  /** One call of the model. Resolves, or rejects, as the call does. */
  async called(
    model: string,
    maxTokens: number,
    attempt: number,
    work: () => Promise<ModelFinish>,
  ): Promise<ModelFinish> {
    const call = this.#tracer.start(`chat ${model}`, {
      kind: 'client',
      parent: this.#owner,
      attributes: {
        ...this.#about,
        'gen_ai.operation.name': 'chat',
        ...modelAttributes(model),
        'gen_ai.request.max_tokens': maxTokens,
        'gen_ai.request.stream': true,
        'parley.attempt': attempt,
      },
    })
    this.#silent = { call, since: performance.now() }
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
   * A call of a tool that is to be seen through, from now until it has its result.
   * @param name undefined for one that nobody has: then it is the model's own word
   * @returns to be called when it is over
   */
  tool(call: string, name: string | undefined, where: 'client' | 'server'): (outcome: ToolOutcome) => void {
    const span = this.#tracer.start(`execute_tool ${name ?? 'unknown'}`, {
      kind: 'internal',
      parent: this.#owner,
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
   * The owner is done.
   * @param ended how the run ended; undefined when it goes on with another owner, or waits for one
   */
  done(ended: RunEnded | undefined, isHandedOver: boolean): void {
    this.#owner.set({
      'parley.run.outcome': ended?.reason ?? (isHandedOver ? 'handed_over' : 'lost'),
      'gen_ai.usage.input_tokens': ended?.usage.inputTokens,
      'gen_ai.usage.output_tokens': ended?.usage.outputTokens,
    })
    if (ended?.reason === 'failed') this.#owner.failed(ended.error?.code ?? '_OTHER')
    this.#owner.end()
  }
}

function modelAttributes(model: string): SpanAttributes {
  return { 'gen_ai.provider.name': providerLabel(model), 'gen_ai.request.model': model }
}
