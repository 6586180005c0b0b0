// The description of the MCP endpoint. Its messages are those of the Model Context Protocol.
import type { Operations, Parameter } from './operation.ts'

const header = (name: string, description: string): Parameter => ({
  in: 'header',
  name,
  description,
  schema: { type: 'string' },
})
const session = header(
  'Mcp-Session-Id',
  'The session, as `initialize` returned it. Ignored in protocol version 2026-07-28.',
)
const version = header('MCP-Protocol-Version', 'The version of the protocol, such as `2026-07-28` or `2025-11-25`.')
const EVENTS = 'Server-sent events, each with one JSON-RPC message.'
const NOT_ALLOWED = { description: 'The method is not allowed here: see `Allow`.' }

const METADATA = {
  tag: 'mcp',
  summary: 'Which authorization server issues access tokens for the MCP endpoint',
  description: 'Protected Resource Metadata (RFC 9728), if `PARLEY_MCP_URL` is set.',
  open: true,
  answers: { 200: { description: 'The metadata.', forms: { 'application/json': 'RFC 9728, section 3.2.' } } },
  errors: ['not_found'],
} as const

export const MCP_OPERATIONS: Operations = {
  'POST /mcp': {
    id: 'postMcpMessage',
    tag: 'mcp',
    summary: 'Send a JSON-RPC message of the Model Context Protocol',
    description:
      'Streamable HTTP, in the versions 2026-07-28 (without sessions) and 2025-11-25, 2025-06-18 and 2025-03-26. ' +
      'Errors are JSON-RPC errors.',
    parameters: [
      session,
      version,
      header('Mcp-Method', 'Since 2026-07-28: the method of the body.'),
      header(
        'Mcp-Name',
        'Since 2026-07-28: `params.name`, `params.uri` or `params.taskId` of the body, where it has one.',
      ),
    ],
    body: 'JsonRpcMessage',
    answers: {
      200: { description: 'The answer to a request.', json: 'JsonRpcMessage', forms: { 'text/event-stream': EVENTS } },
      202: { description: 'A notification or a response was taken.' },
      404: { description: 'The method, or the session, does not exist.' },
    },
    errors: ['not_acceptable', 'going_away', 'contended', 'storage_full'],
    errorForm: 'mcp',
  },
  'GET /mcp': {
    id: 'resumeMcpStream',
    tag: 'mcp',
    summary: 'Resume the stream of an MCP request',
    description: 'For versions before 2026-07-28.',
    parameters: [session, version, header('Last-Event-ID', 'The id of the last event that the client has.')],
    answers: {
      200: { description: 'The rest of the stream.', forms: { 'text/event-stream': EVENTS } },
      404: { description: 'The session does not exist.' },
      405: NOT_ALLOWED,
    },
    errors: ['not_acceptable', 'going_away'],
    errorForm: 'mcp',
  },
  'GET /.well-known/oauth-protected-resource/mcp': {
    ...METADATA,
    id: 'getMcpResourceMetadata',
  },
  'GET /.well-known/oauth-protected-resource': {
    ...METADATA,
    id: 'getResourceMetadata',
  },
  'DELETE /mcp': {
    id: 'deleteMcpSession',
    tag: 'mcp',
    summary: 'Not allowed: an MCP session is a signed id, of which the server keeps nothing',
    answers: { 405: NOT_ALLOWED },
    errorForm: 'mcp',
  },
}
