// runTool: executes one call of a server tool with limits on time and output size. The result is always an output or an
// error for the model. The tool's signal is aborted when the call ends.
import { cutText, isTooDeep, LIMITS } from '@parley/protocol'
import type { Logger } from 'pino'
import { z } from 'zod'
import { type Answer, type Question, type ServerTool, type ToolContext, ToolFailure } from './define-tool.ts'

export type ToolOutcome = { readonly output: unknown } | { readonly error: string }

export interface CallContext extends Pick<ToolContext, 'session' | 'run' | 'call' | 'data' | 'progress'> {
  readonly questions: { ask(question: Question, signal: AbortSignal): Promise<Answer> }
}

/** @param signal aborts when the run ends; then the result is not used */
export async function runTool(
  tool: ServerTool,
  input: unknown,
  { questions, data, progress, ...about }: CallContext,
  signal: AbortSignal,
  logger: Logger,
): Promise<ToolOutcome> {
  const own = new AbortController()
  const clock = new CallClock(tool.timeoutMs)
  const stopped = new Promise<ToolOutcome>((resolve) => {
    clock.onTimeout = () => resolve({ error: `The tool took longer than ${tool.timeoutMs} ms and was stopped.` })
    signal.addEventListener('abort', () => resolve({ error: 'The run has ended.' }), { once: true, signal: own.signal })
  })
  const ask = async (question: Question): Promise<Answer> => {
    const answer = await clock.paused(() => questions.ask(question, own.signal))
    if (answer.action !== 'accept' || !(question.schema instanceof z.ZodType)) return answer
    const parsed = question.schema.safeParse(answer.content)
    if (!parsed.success)
      throw new ToolFailure(`The answer is not valid: ${cutText(z.prettifyError(parsed.error), 300)}`)
    return { ...answer, content: parsed.data as typeof answer.content }
  }
  const executed = tool
    .execute(input, { ...about, data, progress, signal: own.signal, ask: ask as ToolContext['ask'] })
    .then(asOutcome)
    .catch((error: unknown): ToolOutcome => {
      if (error instanceof ToolFailure) logger.info({ tool: tool.name, ...about }, 'tool returned an error')
      else logger.warn({ err: error, tool: tool.name, ...about }, 'server tool failed')
      return { error: error instanceof Error ? cutText(error.message, 1_000) : 'The tool failed.' }
    })
  try {
    return await Promise.race([executed, stopped])
  } finally {
    clock.stop()
    own.abort(new DOMException('The tool call has ended.', 'AbortError'))
  }
}

/** The time limit of a call. It stops while the tool waits for a person. */
class CallClock {
  onTimeout: () => void = () => undefined
  #leftMs: number
  #since = 0
  #timer: NodeJS.Timeout | undefined
  #pauses = 0

  constructor(ms: number) {
    this.#leftMs = ms
    this.#start()
  }

  async paused<T>(wait: () => Promise<T>): Promise<T> {
    this.#pauses += 1
    if (this.#pauses === 1) {
      clearTimeout(this.#timer)
      this.#leftMs -= performance.now() - this.#since
    }
    try {
      return await wait()
    } finally {
      this.#pauses -= 1
      if (this.#pauses === 0) this.#start()
    }
  }

  stop(): void {
    this.#pauses = Number.POSITIVE_INFINITY
    clearTimeout(this.#timer)
  }

  #start(): void {
    this.#since = performance.now()
    this.#timer = setTimeout(() => this.onTimeout(), Math.max(0, this.#leftMs))
  }
}

function asOutcome(output: unknown): ToolOutcome {
  let json: string | undefined
  try {
    json = JSON.stringify(output ?? null)
  } catch {
    return { error: 'The output of the tool is not valid JSON.' }
  }
  if (json === undefined) return { error: 'The output of the tool is not valid JSON.' }
  if (json.length > LIMITS.toolOutputBytes) {
    return { error: `The output of the tool is larger than ${LIMITS.toolOutputBytes} bytes.` }
  }
  if (isTooDeep(json)) return { error: `The output of the tool is nested deeper than ${LIMITS.depth} levels.` }
  return { output: JSON.parse(json) }
}
