// runTool: one call of a server tool, within its time limit and its bound on output. Whatever the tool
// does, this ends in an output or an error for the model, and the tool's signal is aborted when it is over.
import { LIMITS } from '@parley/protocol'
import type { Logger } from 'pino'
import type { ServerTool, ToolContext } from './define-tool.ts'

export type ToolOutcome = { readonly output: unknown } | { readonly error: string }

/** @param signal aborted when the run is over; then the outcome no longer matters */
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
    .then(bounded)
    .catch((error: unknown): ToolOutcome => {
      logger.warn({ err: error, tool: tool.name, session, run, call }, 'server tool failed')
      return { error: error instanceof Error ? error.message.slice(0, 1_000) : 'The tool failed.' }
    })
  try {
    return await Promise.race([executed, stopped])
  } finally {
    clearTimeout(timer)
    own.abort(new DOMException('The tool call is over.', 'AbortError'))
  }
}

function bounded(output: unknown): ToolOutcome {
  let json: string | undefined
  try {
    json = JSON.stringify(output ?? null)
  } catch {
    return { error: 'The tool returned something that is not JSON.' }
  }
  if (json === undefined) return { error: 'The tool returned something that is not JSON.' }
  if (json.length > LIMITS.toolOutputBytes) {
    return { error: `The tool returned more than ${LIMITS.toolOutputBytes} bytes.` }
  }
  return { output: JSON.parse(json) }
}
