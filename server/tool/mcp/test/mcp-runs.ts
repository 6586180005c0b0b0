// McpRuns: tools of MCP servers as a run has them, and calls of these tools.
import { pino } from 'pino'
import type { Answer, Question, ToolProgress } from '../../define-tool.ts'
import { runTool } from '../../run-tool.ts'
import type { ToolSet } from '../../tool-set.ts'
import type { McpServerConfig } from '../mcp-config.ts'
import { type McpRun, McpServers, type McpServersOptions } from '../mcp-servers.ts'

const logger = pino({ level: 'silent' })
const opened: McpServers[] = []

export async function closeServers(): Promise<void> {
  for (const servers of opened.splice(0)) await servers.close()
}

/** `credentials` are the claim itself: their encryption has tests of its own. */
const open: McpServersOptions['open'] = async (token, user) =>
  token.startsWith(user) ? { claims: { token } } : { problem: 'unreadable' }

export function connect(servers: Record<string, McpServerConfig>, more: Partial<McpServersOptions> = {}): McpServers {
  const made = new McpServers({ servers, version: '1', logger, open, backoffMs: [20, 50], ...more })
  opened.push(made)
  made.start()
  return made
}

export const runOf = (author: string, more: Partial<McpRun> = {}): McpRun => ({
  author,
  credentials: `${author}'s token`,
  isShared: () => false,
  allows: () => true,
  ...more,
})

export async function toolsOf(servers: McpServers, run = runOf('ada')): Promise<ToolSet> {
  const tools = servers.toolsFor(new Map(), run)
  await tools.ready?.(new AbortController().signal)
  return tools
}

const accepted: Answer = { action: 'accept', content: { name: 'Ann' }, by: 'ada' }

export async function call(
  tools: ToolSet,
  name: string,
  input: unknown = {},
  signal = new AbortController().signal,
  {
    ask = async (_: Question): Promise<Answer> => accepted,
    run = 'r',
    progress = (_: ToolProgress): void => undefined,
  } = {},
) {
  const tool = tools.get(name)
  if (tool === undefined) return { error: tools.problem?.(name) }
  return runTool(
    tool,
    input,
    { session: 's', run, call: 'c', data: () => undefined, progress, questions: { ask } },
    signal,
    logger,
  )
}

export const names = (tools: ToolSet): string[] => [...tools.values()].map(({ name }) => name)
