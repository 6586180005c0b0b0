// JSON-RPC 2.0 as MCP uses it: parses a message, and makes results and errors. Pure.
import type { ProblemCode } from '@parley/protocol'
import { z } from 'zod'
import type { ErrorShape } from '../http/failure.ts'
import type { Headers } from '../http/response-head.ts'

export type RpcId = string | number
export type Params = Readonly<Record<string, unknown>>

export type RpcMessage =
  | { readonly kind: 'request'; readonly id: RpcId; readonly method: string; readonly params: Params }
  | { readonly kind: 'notification'; readonly method: string; readonly params: Params }
  | { readonly kind: 'response'; readonly id: RpcId; readonly result: Params | undefined }

/** For the OpenAPI document: `parseMessage` distinguishes more. */
export const JsonRpcMessage = z.looseObject({
  jsonrpc: z.literal('2.0'),
  id: z.union([z.string(), z.int()]).optional(),
  method: z.string().optional(),
  params: z.looseObject({}).optional(),
  result: z.looseObject({}).optional(),
  error: z.looseObject({}).optional(),
})

/** JSON-RPC 2.0, section 5.1; MCP 2026-07-28, basic/index; -32000 and -32001 as the official SDK uses them. */
export const RPC = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  refused: -32000,
  sessionNotFound: -32001,
  /** Before 2026-07-28. */
  resourceNotFound: -32002,
  headerMismatch: -32020,
  capabilityMissing: -32021,
  versionUnsupported: -32022,
} as const

/** An error answer to a request, with its HTTP status. */
export class RpcError extends Error {
  override readonly name = 'RpcError'
  readonly status: number
  readonly code: number
  readonly data: unknown
  readonly headers: Headers

  constructor(status: number, code: number, message: string, data?: unknown, headers: Headers = {}) {
    super(message)
    this.status = status
    this.code = code
    this.data = data
    this.headers = headers
  }
}

/** The server's own ids contain the ids of a session and of a call. */
const ID_MAX_LENGTH = 512

/** @throws RpcError for anything but one request, notification or response */
export function parseMessage(body: unknown): RpcMessage {
  if (Array.isArray(body)) throw invalidRequest('Batches are not supported: send one message per request.')
  if (!isObject(body) || body.jsonrpc !== '2.0') throw invalidRequest('The body is not a JSON-RPC 2.0 message.')
  const { id, method, params = {} } = body
  const hasId = Object.hasOwn(body, 'id')
  if (hasId && !isId(id)) throw invalidRequest('`id` must be an integer, or a string of at most 512 characters.')
  if (typeof method === 'string') {
    if (!isObject(params)) throw invalidRequest('`params` must be an object.')
    return isId(id) ? { kind: 'request', id, method, params } : { kind: 'notification', method, params }
  }
  if (isId(id) && (isObject(body.result) || isObject(body.error))) {
    return { kind: 'response', id, result: isObject(body.result) ? body.result : undefined }
  }
  throw invalidRequest('The body is neither a request, nor a notification, nor a response.')
}

export function isObject(value: unknown): value is Params {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isId(id: unknown): id is RpcId {
  return typeof id === 'string' ? id.length <= ID_MAX_LENGTH : Number.isSafeInteger(id)
}

export function resultMessage(id: RpcId, result: unknown) {
  return { jsonrpc: '2.0', id, result }
}

/** @param id null if the request has none that could be read */
export function errorMessage(id: RpcId | null, { code, message, data }: Pick<RpcError, 'code' | 'message' | 'data'>) {
  return { jsonrpc: '2.0', id, error: { code, message, ...(data === undefined ? {} : { data }) } }
}

const CODES: Readonly<Partial<Record<ProblemCode, number>>> = {
  bad_request: RPC.invalidRequest,
  internal: RPC.internal,
}

/** An error outside of any method, with Parley's code in `data`. */
export const asRpcFailure: ErrorShape = ({ code, detail, title, retryable }) => ({
  body: errorMessage(null, { code: CODES[code] ?? RPC.refused, message: detail ?? title, data: { code, retryable } }),
  contentType: 'application/json',
})

function invalidRequest(message: string): RpcError {
  return new RpcError(400, RPC.invalidRequest, message)
}
