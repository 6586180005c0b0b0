// runTool: executes one call of a server tool with limits on time and output size. The result is always an output or an
// error for the model. The tool's signal is aborted when the call ends.
import { cutText, LIMITS } from '@parley/protocol'
import type { Logger } from 'pino'
import { type ServerTool, type ToolContext, ToolFailure } from './define-tool.ts'

export type ToolOutcome = { readonly output: unknown } | { readonly error: string }

/** @param signal aborts when the run ends; then the result is not used */
export async function runTool(
  tool: ServerTool,
  input: unknown,
  context: Omit<ToolContext, 'signal'>,
  signal: AbortSignal,
  logger: Logger,
): Promise<ToolOutcome> {
  const own = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const stopped = new Promise<ToolOutcome>((resolve) => {
    timer = setTimeout(
      () => resolve({ error: `The tool took longer than ${tool.timeoutMs} ms and was stopped.` }),
      tool.timeoutMs,
    )
    signal.addEventListener('abort', () => resolve({ error: 'The run has ended.' }), { once: true, signal: own.signal })
  })
  const { session, run, call } = context
  const executed = tool
    .execute(input, { ...context, signal: own.signal })
    .then(asOutcome)
    .catch((error: unknown): ToolOutcome => {
      if (error instanceof ToolFailure) logger.info({ tool: tool.name, session, run, call }, 'tool returned an error')
      else logger.warn({ err: error, tool: tool.name, session, run, call }, 'server tool failed')
      return { error: error instanceof Error ? cutText(error.message, 1_000) : 'The tool failed.' }
    })
  try {
    return await Promise.race([executed, stopped])
  } finally {
    clearTimeout(timer)
    own.abort(new DOMException('The tool call has ended.', 'AbortError'))
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
  return { output: JSON.parse(json) }
}
