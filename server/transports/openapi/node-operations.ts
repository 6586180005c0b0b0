// The descriptions of the routes that concern the node itself.
import type { Operations } from './operation.ts'

export const NODE_OPERATIONS: Operations = {
  'GET /v1/hello': {
    id: 'hello',
    tag: 'node',
    summary: 'Get the content of a WebSocket’s `welcome`: the user, the node and its limits',
    parameters: [
      {
        in: 'header',
        name: 'Parley-Connection',
        description: 'A name that the client has chosen for its connection. The answer repeats it.',
        schema: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,128}$' },
      },
      {
        in: 'header',
        name: 'Parley-Client',
        description: 'A permanent id of the client. Without authentication, experiments assign variants by it.',
        schema: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,128}$' },
      },
    ],
    answers: { 200: { description: 'The node accepts the client.', json: 'WelcomeAnswer' } },
    errors: ['going_away'],
  },
  'GET /v1/me': {
    id: 'me',
    tag: 'node',
    summary: 'Get the user of the access token, with limits and remaining budgets',
    parameters: [
      {
        in: 'query',
        name: 'session',
        description: 'Also return the remaining budget of this session.',
        schema: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,128}$' },
      },
    ],
    answers: { 200: { description: 'The user.', json: 'MeAnswer' } },
    errors: ['session_not_found', 'session_deleted'],
  },
  'GET /openapi.json': {
    id: 'openapi',
    tag: 'node',
    summary: 'Get this document',
    answers: { 200: { description: 'OpenAPI 3.1.' }, 304: { description: 'The document has not changed.' } },
    open: true,
  },
  'GET /asyncapi.json': {
    id: 'asyncapi',
    tag: 'node',
    summary: 'Get the AsyncAPI document of the WebSocket',
    answers: { 200: { description: 'AsyncAPI 3.0.' }, 304: { description: 'The document has not changed.' } },
    open: true,
  },
}

/** Routes that the router does not serve. */
export const ASIDE_OPERATIONS: Operations = {
  'GET /healthz': {
    id: 'live',
    tag: 'node',
    summary: 'Check whether the process is alive',
    answers: { 200: { description: 'The process is alive.', json: 'Health' } },
    open: true,
  },
  'GET /readyz': {
    id: 'ready',
    tag: 'node',
    summary: 'Check whether the node is ready for traffic',
    answers: { 200: { description: 'The node is ready.', json: 'Health' } },
    errors: ['going_away', 'unavailable'],
    open: true,
  },
  'GET /metrics': {
    id: 'metrics',
    tag: 'node',
    summary: 'Get the metrics of the node',
    description:
      'Needs the token for metrics. Without one, or if metrics have an address of their own, this is `not_found`.',
    answers: { 200: { description: 'The metrics.', forms: { 'text/plain': 'The Prometheus text format.' } } },
    errors: ['unauthenticated', 'not_found', 'internal'],
    open: true,
  },
  'GET /v1/ws': {
    id: 'connect',
    tag: 'sessions',
    summary: 'Open a WebSocket',
    description: '/asyncapi.json describes its frames.',
    answers: { 101: { description: 'The WebSocket is open.' } },
    errors: ['upgrade_required', 'origin_not_allowed', 'rate_limited', 'unavailable', 'going_away'],
  },
}
