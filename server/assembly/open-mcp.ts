// openMcp: the MCP servers of the configuration, whose tools runs use, and the encryption of the claims that they need.
import { ClaimVault } from '../auth/claim-vault.ts'
import type { Config } from '../config/config.ts'
import type { Logger } from '../config/logger.ts'
import { version } from '../config/version.ts'
import { claimsIn, serverOf } from '../tool/mcp/mcp-config.ts'
import { McpServers } from '../tool/mcp/mcp-servers.ts'

export interface OpenMcp {
  /** Undefined: no server needs claims. */
  readonly vault: ClaimVault | undefined
  /** Undefined: this node drives no runs. */
  readonly servers: McpServers | undefined
  /** Whether tools of a server have such names. */
  owns(tool: string): boolean
}

/** Does not wait for the servers. @returns undefined if none is configured */
export function openMcp({ mcpServers, credentialsKey, role }: Config, logger: Logger): OpenMcp | undefined {
  if (Object.keys(mcpServers).length === 0) return undefined
  const claims = claimsIn(mcpServers)
  const vault = claims.length === 0 ? undefined : new ClaimVault(claims, credentialsKey)
  const open = async (sealed: string, user: string) => vault?.open(sealed, user) ?? { claims: {} }
  return {
    vault,
    servers: role === 'gateway' ? undefined : new McpServers({ servers: mcpServers, version: version(), logger, open }),
    owns: (tool) => serverOf(mcpServers, tool) !== undefined,
  }
}
