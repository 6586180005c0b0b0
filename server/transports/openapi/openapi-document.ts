// OpenApiDocument: plain HTTP as OpenAPI 3.1. It contains every mounted route, with the description in the tables of
// operations.
import { ERRORS, HTTP_ERRORS, HTTP_STATUS, type ProblemCode } from '@parley/protocol'
import { openAiStatus } from '../openai/openai-error.ts'
import { AG_UI_OPERATIONS } from './ag-ui-operations.ts'
import { JOB_OPERATIONS } from './job-operations.ts'
import { MCP_OPERATIONS } from './mcp-operations.ts'
import { MEMBER_OPERATIONS } from './member-operations.ts'
import { httpSchemas, type JsonObject, PLACE } from './named-schemas.ts'
import { ASIDE_OPERATIONS, NODE_OPERATIONS } from './node-operations.ts'
import { OPENAI_OPERATIONS } from './openai-operations.ts'
import {
  ANSWER_HEADERS,
  type Answer,
  type AnswerHeader,
  BODY_ERRORS,
  COMMON_ERRORS,
  type Operation,
  type Operations,
  type Parameter,
  TAGS,
} from './operation.ts'
import { SESSION_OPERATIONS } from './session-operations.ts'

export interface DocumentedRoute {
  readonly method: string
  /** For example `/jobs/:id`. */
  readonly path: string
  /** The same as another route. */
  readonly isAlias?: true
}

/** Keyed by method and path. */
export const OPERATIONS: Operations = {
  ...SESSION_OPERATIONS,
  ...MEMBER_OPERATIONS,
  ...JOB_OPERATIONS,
  ...OPENAI_OPERATIONS,
  ...MCP_OPERATIONS,
  ...AG_UI_OPERATIONS,
  ...NODE_OPERATIONS,
}

const ALL: Operations = { ...OPERATIONS, ...ASIDE_OPERATIONS }

export function openApiDocument(routes: readonly DocumentedRoute[]): JsonObject {
  const described = routes.filter(({ isAlias }) => isAlias === undefined)
  const mounted = described.map(({ method, path }) => `${method} ${path}`)
  const paths: Record<string, Record<string, unknown>> = {}
  for (const name of [...mounted, ...Object.keys(ASIDE_OPERATIONS)]) {
    const [method = '', path = ''] = name.split(' ')
    const template = path.replace(/:(\w+)/g, '{$1}')
    paths[template] ??= {}
    paths[template][method.toLowerCase()] = operationObject(name, ALL[name] ?? undescribed(name))
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Parley over HTTP',
      version: '1',
      summary: 'Realtime LLM chat and agent sessions: durable logs, used over many transports.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    // A node without configured keys accepts requests without an access token.
    security: [{ bearer: [] }, {}],
    paths,
    components: {
      schemas: httpSchemas(),
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      headers: {
        ...Object.fromEntries(Object.entries(ANSWER_HEADERS).map(([name, text]) => [name, header(text)])),
        'X-Request-Id': header('The id of the request in the server’s log: the client’s, if it sent a valid one.'),
      },
    },
  }
}

/** Marks a route without a description; a test reports it. */
export const UNDESCRIBED = 'x-undescribed'

function undescribed(name: string): Operation & { readonly undescribed: true } {
  return { id: name.replace(/\W+/g, '_'), tag: 'node', summary: name, answers: {}, undescribed: true }
}

function operationObject(name: string, operation: Operation & { readonly undescribed?: true }): JsonObject {
  const { id, tag, summary, description, parameters = [], body, answers, open } = operation
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    ...(open === undefined ? {} : { security: [] }),
    ...(parameters.length === 0 ? {} : { parameters: parameters.map(parameterObject) }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: reference(body) } } } }),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, answerObject(answer)])),
      ...errorsOf(name, operation),
    },
    ...(operation.undescribed === undefined ? {} : { [UNDESCRIBED]: true }),
  }
}

function parameterObject({ in: place, name, description, schema }: Parameter): JsonObject {
  return { in: place, name, description, schema, ...(place === 'path' ? { required: true } : {}) }
}

function answerObject({ description, json, forms = {}, headers = [] }: Answer): JsonObject {
  const content = {
    ...(json === undefined ? {} : { 'application/json': { schema: reference(json) } }),
    ...Object.fromEntries(
      Object.entries(forms).map(([type, text]) => [type, { schema: { type: 'string', description: text } }]),
    ),
  }
  return {
    description,
    headers: headersObject(headers),
    ...(Object.keys(content).length === 0 ? {} : { content }),
  }
}

/** Routes of one session, which may have been deleted. */
const OF_SESSION = /\/:session\b|\/jobs\/|\/v1\/responses\//

/** Errors that share a status share an answer, which lists their codes. */
function errorsOf(name: string, { errors = [], body, open, errorForm }: Operation): JsonObject {
  const isOfSession = errors.includes('session_not_found') || OF_SESSION.test(name)
  const deleted: readonly ProblemCode[] = isOfSession ? ['session_deleted'] : []
  const own = new Set([
    ...errors,
    ...deleted,
    ...(open === true ? [] : COMMON_ERRORS),
    ...(body === undefined ? [] : BODY_ERRORS),
  ])
  const byStatus = new Map<number, ProblemCode[]>()
  for (const code of own) {
    const status = errorForm === 'openai' ? openAiStatus(code) : HTTP_STATUS[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  const content =
    errorForm !== undefined
      ? { 'application/json': { schema: { type: 'object', required: ['error'] } } }
      : { 'application/problem+json': { schema: reference('Problem') } }
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      String(status),
      {
        description: codes.map(textOf).join(' '),
        headers: headersObject(mayWait(codes) ? ['Retry-After'] : []),
        content,
      },
    ]),
  )
}

function textOf(code: ProblemCode): string {
  const text = code in ERRORS ? ERRORS[code as keyof typeof ERRORS] : HTTP_ERRORS[code as keyof typeof HTTP_ERRORS]
  return `\`${code}\`: ${text.message}`
}

function mayWait(codes: readonly ProblemCode[]): boolean {
  return codes.some((code) => code in ERRORS && ERRORS[code as keyof typeof ERRORS].retryable)
}

function headersObject(names: readonly AnswerHeader[]): JsonObject {
  return Object.fromEntries([...names, 'X-Request-Id'].map((name) => [name, { $ref: `#/components/headers/${name}` }]))
}

function header(description: string): JsonObject {
  return { description, schema: { type: 'string' } }
}

function reference(name: string): JsonObject {
  return { $ref: `${PLACE}/${name}` }
}
