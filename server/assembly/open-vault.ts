// openVault: the encryption of the claims of access tokens that headers of MCP servers and of remote agents contain.
import { ClaimVault } from '../auth/claim-vault.ts'
import type { Config } from '../config/config.ts'
import { claimsOfAgents } from '../run/remote-agent.ts'
import { claimsIn } from '../tool/mcp/mcp-config.ts'

/** @returns undefined if no header contains claims */
export function openVault({ mcpServers, agents, credentialsKey }: Config): ClaimVault | undefined {
  const claims = new Set([...claimsIn(mcpServers), ...claimsOfAgents(agents.values())])
  return claims.size === 0 ? undefined : new ClaimVault([...claims], credentialsKey)
}
