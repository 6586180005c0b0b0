// The two eras of MCP on one URL: *modern* requests (2026-07-28) carry their version and the client's capabilities, *legacy*
// ones (2025-11-25 and before) belong to a session that `initialize` opened. Decides which one a message is of, and checks
// what the transport demands of it. Pure.
import { isObject, type Params, RPC, RpcError, type RpcMessage } from './rpc.ts'

export const MODERN_VERSIONS: readonly string[] = ['2026-07-28']
/** Newest first. */
export const LEGACY_VERSIONS = ['2025-11-25', '2025-06-18', '2025-03-26'] as const
export type LegacyVersion = (typeof LEGACY_VERSIONS)[number]

const META = 'io.modelcontextprotocol/'
export const SERVER_INFO = `${META}serverInfo`
export const SUBSCRIPTION_ID = `${META}subscriptionId`
export const TASKS = `${META}tasks`

export interface ModernEra {
  readonly name: 'modern'
  readonly capabilities: Params
}

type HeaderOf = (name: string) => string | undefined

/** The parameter that `Mcp-Name` repeats, by method. */
const NAMED: Readonly<Record<string, string>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
}

/**
 * @param header by its name in lower case
 * @returns undefined if the message is a legacy one
 * @throws RpcError
 */
export function modernEraOf(message: RpcMessage, header: HeaderOf): ModernEra | undefined {
  const version = header('mcp-protocol-version')
  const meta = message.kind === 'response' || !isObject(message.params._meta) ? {} : message.params._meta
  const claimed = meta[`${META}protocolVersion`]
  if (claimed === undefined) {
    refuseModernHeader(message, version)
    return undefined
  }
  if (message.kind === 'response') return undefined
  if (version !== claimed) throw mismatch(`MCP-Protocol-Version must be the version in params._meta.`)
  if (!MODERN_VERSIONS.includes(version)) {
    const data = { supported: MODERN_VERSIONS, requested: version }
    throw new RpcError(400, RPC.versionUnsupported, 'This protocol version is not supported.', data)
  }
  const capabilities = meta[`${META}clientCapabilities`]
  if (!isObject(capabilities)) {
    throw new RpcError(400, RPC.invalidParams, `params._meta must contain ${META}clientCapabilities, an object.`)
  }
  checkHeaders(message.method, message.params, header)
  return { name: 'modern', capabilities }
}

/** A modern version in the header alone. Later versions than the known ones are modern, too. */
function refuseModernHeader(message: RpcMessage, version: string | undefined): void {
  if (version === undefined || !/^\d{4}-\d{2}-\d{2}$/.test(version) || version < '2026-07-28') return
  if (message.kind === 'response') {
    throw new RpcError(400, RPC.invalidRequest, 'Clients of this protocol version send no responses.')
  }
  if (message.method === 'initialize') throw mismatch('`initialize` does not exist in this protocol version.')
  throw new RpcError(400, RPC.invalidParams, `params._meta must contain ${META}protocolVersion.`)
}

function checkHeaders(method: string, params: Params, header: HeaderOf): void {
  if (header('mcp-method') !== method) throw mismatch('Mcp-Method must be the method of the body.')
  const parameter = NAMED[method]
  const name = parameter === undefined ? undefined : params[parameter]
  if (typeof name === 'string' && decoded(header('mcp-name')) !== name) {
    throw mismatch(`Mcp-Name must be params.${parameter} of the body.`)
  }
}

/** A value that is not plain ASCII is sent as `=?base64?…?=` (MCP 2026-07-28, basic/transports). */
function decoded(value: string | undefined): string | undefined {
  const [, base64] = /^=\?base64\?([A-Za-z0-9+/=]*)\?=$/.exec(value ?? '') ?? []
  return base64 === undefined ? value : Buffer.from(base64, 'base64').toString()
}

function mismatch(message: string): RpcError {
  return new RpcError(400, RPC.headerMismatch, message)
}

/** Whether the client can ask its user to fill in a form. An empty object means the form mode. */
export function canElicit(capabilities: Params): boolean {
  const { elicitation } = capabilities
  return isObject(elicitation) && (isObject(elicitation.form) || !isObject(elicitation.url))
}
