// openMcp: the MCP servers of the configuration, whose tools runs use.
import type { ClaimVault } from '../auth/claim-vault.ts'
import type { Config } from '../config/config.ts'
import type { Logger } from '../config/logger.ts'
import { version } from '../config/version.ts'
import { serverOf } from '../tool/mcp/mcp-config.ts'
import { McpServers } from '../tool/mcp/mcp-servers.ts'

export interface OpenMcp {
  /** Undefined: this node drives no runs. */
  readonly servers: McpServers | undefined
  /** Whether tools of a server have such names. */
  owns(tool: string): boolean
}

/**
 * Does not wait for the servers.
 * @param vault decrypts claims; undefined: no header contains any
 * @returns undefined if none is configured
 */
export function openMcp(
  { mcpServers, role }: Config,
  logger: Logger,
  vault: ClaimVault | undefined,
): OpenMcp | undefined {
  if (Object.keys(mcpServers).length === 0) return undefined
  const open = async (sealed: string, user: string) => vault?.open(sealed, user) ?? { claims: {} }
  return {
    servers: role === 'gateway' ? undefined : new McpServers({ servers: mcpServers, version: version(), logger, open }),
    owns: (tool) => serverOf(mcpServers, tool) !== undefined,
  }
}
