// What is told of what a node says of itself.
import type { Operations } from './operation.ts'

export const NODE_OPERATIONS: Operations = {
  'GET /v1/hello': {
    id: 'hello',
    tag: 'node',
    summary: 'What a WebSocket says in `welcome`: who the token speaks for, which node this is, and its limits',
    parameters: [
      {
        in: 'header',
        name: 'Parley-Connection',
        description: 'A name that the client has chosen for itself; it comes back.',
        schema: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,128}$' },
      },
      {
        in: 'header',
        name: 'Parley-Client',
        description: "The client's own id, kept: what experiments tell clients apart by where nobody needs a token.",
        schema: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,128}$' },
      },
    ],
    answers: { 200: { description: 'The node takes the client.', json: 'WelcomeAnswer' } },
    errors: ['going_away'],
  },
  'GET /v1/me': {
    id: 'me',
    tag: 'node',
    summary: 'Who the token speaks for, what the user may use, and what is left of it',
    parameters: [
      {
        in: 'query',
        name: 'session',
        description: "Tell what is left of this session's budget, too.",
        schema: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,128}$' },
      },
    ],
    answers: { 200: { description: 'The user.', json: 'MeAnswer' } },
    errors: ['session_not_found', 'session_deleted'],
  },
  'GET /openapi.json': {
    id: 'openapi',
    tag: 'node',
    summary: 'This document',
    answers: { 200: { description: 'OpenAPI 3.1.' }, 304: { description: 'It has not changed.' } },
    open: true,
  },
  'GET /asyncapi.json': {
    id: 'asyncapi',
    tag: 'node',
    summary: 'The document of the WebSocket',
    answers: { 200: { description: 'AsyncAPI 3.0.' }, 304: { description: 'It has not changed.' } },
    open: true,
  },
}

/** Answered outside of the router's routes. */
export const ASIDE_OPERATIONS: Operations = {
  'GET /healthz': {
    id: 'live',
    tag: 'node',
    summary: 'Whether the process lives',
    answers: { 200: { description: 'It does.', json: 'Health' } },
    open: true,
  },
  'GET /readyz': {
    id: 'ready',
    tag: 'node',
    summary: 'Whether the node should be sent clients',
    answers: { 200: { description: 'It should.', json: 'Health' } },
    errors: ['going_away', 'unavailable'],
    open: true,
  },
  'GET /metrics': {
    id: 'metrics',
    tag: 'node',
    summary: 'What the node measures of itself',
    description: 'In the text form of Prometheus. Who may read it, the operator decides; to others it is not there.',
    answers: { 200: { description: 'The metrics.', forms: { 'text/plain': 'The text form of Prometheus.' } } },
    errors: ['unauthenticated', 'not_found', 'internal'],
    open: true,
  },
  'GET /v1/ws': {
    id: 'connect',
    tag: 'sessions',
    summary: 'The WebSocket',
    description: 'What is said on it is in /asyncapi.json.',
    answers: { 101: { description: 'The WebSocket is open.' } },
    errors: ['upgrade_required', 'going_away'],
  },
}
