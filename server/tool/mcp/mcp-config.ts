// The MCP servers of the configuration file: their form, and the names of their tools.
// It imports no MCP library, so that a server without `mcpServers` loads none.
import { createHash } from 'node:crypto'
import { ToolName } from '@parley/protocol'
import { z } from 'zod'
import { claimsOfHeaders, HeadersForm, HttpUrl, withoutClaims } from '../claim-headers.ts'

const LONGEST_TOOL_NAME = 64
/** A claim in a place, or a form, in which it would be sent as it is. A URL may have it percent-encoded. */
const STRAY_CLAIM = /(\{|%7b)\s*claims?\b/i

const shared = {
  /** The server's own names of the tools to offer. Default: all. */
  tools: z.array(z.string()).optional(),
  /** The server's own names of the tools whose calls a person must approve, or all. */
  approval: z.union([z.array(z.string()), z.literal(true)]).optional(),
  /** Limit of one call (ms). */
  timeoutMs: z.int().min(1).optional(),
}
const HttpForm = z.strictObject({
  type: z.literal('http').optional(),
  url: HttpUrl,
  headers: HeadersForm.optional(),
  ...shared,
})
const StdioForm = z.strictObject({
  type: z.literal('stdio').optional(),
  command: z.string().min(1),
  args: z.array(z.string()).optional(),
  env: z.record(z.string(), z.string()).optional(),
  cwd: z.string().optional(),
  ...shared,
})
const Name = z.string().regex(/^[A-Za-z0-9_-]{1,32}$/, 'must be 1–32 characters from A-Z a-z 0-9 _ -')

/** `mcpServers` in the configuration file. */
export const McpServersForm = z.record(Name, z.union([HttpForm, StdioForm], { error: MESSAGE() }))
export type McpServerConfig = z.infer<typeof HttpForm> | z.infer<typeof StdioForm>
export type McpServersConfig = Readonly<Record<string, McpServerConfig>>

function MESSAGE(): string {
  return 'must be { url, headers } or { command, args, env, cwd }, each with tools, approval and timeoutMs'
}

/** The claims of access tokens that headers contain. */
export function claimsIn(servers: McpServersConfig): string[] {
  return [...new Set(Object.values(servers).flatMap(claimsOf))]
}

export function claimsOf(server: McpServerConfig): string[] {
  return 'url' in server ? claimsOfHeaders(server.headers) : []
}

/**
 * Our name of a server's tool: `<server>_<tool>`. A name with other characters than ours, or a longer one, is cut and gets a part of
 * its hash, so that it depends on nothing else in the server's list.
 */
export function toolNameOf(server: string, tool: string): string {
  const exact = `${server}_${tool}`
  if (ToolName.safeParse(exact).success) return exact
  const hash = createHash('sha256').update(tool).digest('hex').slice(0, 8)
  const readable = exact.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, LONGEST_TOOL_NAME - hash.length - 1)
  return `${readable}_${hash}`
}

/** What looks like a claim, and would not be replaced. */
function strayClaims(name: string, server: McpServerConfig): string[] {
  const others =
    'url' in server
      ? [server.url, ...Object.values(server.headers ?? {}).map((value) => withoutClaims(value))]
      : [server.command, server.cwd ?? '', ...(server.args ?? []), ...Object.values(server.env ?? {})]
  if (!others.some((text) => STRAY_CLAIM.test(text))) return []
  return [
    `the server ${name} has a claim that is not replaced: claims have the form {claim:name}, and only headers may have them`,
  ]
}

/** The server whose tools have such a name. */
export function serverOf(servers: McpServersConfig, tool: string): string | undefined {
  return Object.keys(servers).find((name) => tool.startsWith(`${name}_`))
}

/** Why the servers and the names of other tools do not fit together. */
export function nameProblems(servers: McpServersConfig, tools: readonly string[]): string[] {
  const names = Object.keys(servers)
  return [
    ...Object.entries(servers).flatMap(([name, server]) => strayClaims(name, server)),
    ...names
      .flatMap((name) => names.filter((other) => other.startsWith(`${name}_`)).map((other) => [name, other]))
      .map(([name, other]) => `the names ${name} and ${other} are ambiguous: rename one of them`),
    ...tools.flatMap((tool) => {
      const server = serverOf(servers, tool)
      return server === undefined ? [] : [`the tool ${tool} has a name of the server ${server}: rename it`]
    }),
  ]
}
