// HttpRequest: a snapshot of a request, read from uWS at once, because uWS frees its request when the handler returns.
// The user's identity is set when the access token is verified, before a route's handler is called.

import { ANONYMOUS_USER, type Assignment, makeId, type UserLimits } from '@parley/protocol'
import type { z } from 'zod'
import type { Identity } from '../../auth/authenticator.ts'
import { HEAD_BYTES, type HttpResponse, type HttpRequest as UwsRequest } from '../uws.ts'
import { clientKey, peerAddressOf, type TrustedProxies } from './client-address.ts'
import { type BodyLimits, HttpBody, invalid } from './http-body.ts'
import { HttpError } from './http-error.ts'

export interface HttpRequest {
  /** The client's X-Request-Id if it is valid, else a generated one. Every answer contains it. */
  readonly id: string
  /** In upper case. */
  readonly method: string
  readonly path: string
  /** Decoded path parameters of the route. */
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  /** @param name in lower case @returns repeated headers joined with commas */
  header(name: string): string | undefined
  /** The client's address, as the limits count it. */
  readonly address: string
  /** Aborted when the exchange ends: it was answered in full, the client disconnected, or the server closes. */
  readonly signal: AbortSignal
  readonly user: string
  /** Display name. */
  readonly name: string | undefined
  readonly role: string
  /** The user's own limits from the access token. */
  readonly limits: UserLimits | undefined
  /** Encrypted claims of the access token for MCP servers. */
  readonly credentials: string | undefined
  /** The experiment variant of the user or the client. */
  readonly experiment: Assignment | undefined
  /**
   * Reads and parses the body; an empty body counts as `{}`.
   * @throws HttpError bad_request, unsupported_media_type, too_large, body_timeout
   */
  json<T>(schema: z.ZodType<T>): Promise<T>
  /**
   * Parses the query as an object of strings. A parameter with an empty value, as in `?after=`, counts as absent: HTML
   * forms and many URL builders send it for an unset variable. Of repeated names the first with a value counts.
   * @throws HttpError bad_request
   */
  queryAs<T>(schema: z.ZodType<T>): T
  /** Parses a path parameter. @throws HttpError bad_request */
  paramAs<T>(name: string, schema: z.ZodType<T>): T
}

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/
/** RFC 6750, section 2.1. */
const BEARER = /^Bearer +([^\s]+) *$/i
const ANONYMOUS: Identity = { user: ANONYMOUS_USER, role: 'owner' }

export class RequestSnapshot implements HttpRequest {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly address: string
  readonly params: Readonly<Record<string, string>>
  /** Set if the request is malformed and must be refused. */
  readonly refusal: HttpError | undefined
  readonly body: HttpBody
  readonly #query: string
  readonly #headers = new Map<string, string>()
  #parsedQuery: URLSearchParams | undefined
  #identity: Identity = ANONYMOUS
  #experiment: Assignment | undefined
  #aborter: AbortController | undefined
  #ended = false

  /** @param names the route's path parameters, in their order */
  constructor(
    response: HttpResponse,
    request: UwsRequest,
    names: readonly string[],
    limits: BodyLimits,
    proxies: TrustedProxies | undefined,
  ) {
    this.method = request.getMethod().toUpperCase()
    this.path = request.getUrl()
    // Undefined without a query, despite its type.
    this.#query = request.getQuery() ?? ''
    let headBytes = this.path.length + this.#query.length
    request.forEach((name, value) => {
      headBytes += name.length + value.length
      const before = this.#headers.get(name)
      this.#headers.set(name, before === undefined ? value : `${before}, ${value}`)
    })
    this.address = clientKey(peerAddressOf(response, this.header('x-forwarded-for') ?? ''), proxies)
    const given = this.header('x-request-id')
    this.id = given !== undefined && REQUEST_ID.test(given) ? given : makeId('req')
    const params = names.map((name, index) => [name, decoded(request.getParameter(index))] as const)
    const isMalformed = params.some(([, value]) => value === undefined)
    if (headBytes > HEAD_BYTES) this.refusal = new HttpError('headers_too_large')
    else this.refusal = isMalformed ? new HttpError('bad_request', 'The request path is malformed.') : undefined
    this.params = Object.fromEntries(params.map(([name, value]) => [name, value ?? '']))
    const headers = {
      contentLength: this.header('content-length') ?? '',
      transferEncoding: this.header('transfer-encoding') ?? '',
      contentType: this.header('content-type') ?? '',
      contentEncoding: this.header('content-encoding') ?? '',
    }
    this.body = new HttpBody(response, headers, limits)
  }

  get query(): URLSearchParams {
    this.#parsedQuery ??= new URLSearchParams(this.#query)
    return this.#parsedQuery
  }

  get signal(): AbortSignal {
    this.#aborter ??= new AbortController()
    if (this.#ended) this.#aborter.abort()
    return this.#aborter.signal
  }

  get user(): string {
    return this.#identity.user
  }

  /** Unix milliseconds at which the access token expires; undefined: never. */
  get until(): number | undefined {
    return this.#identity.until
  }

  get name(): string | undefined {
    return this.#identity.name
  }

  get role(): string {
    return this.#identity.role
  }

  get limits(): UserLimits | undefined {
    return this.#identity.limits
  }

  get credentials(): string | undefined {
    return this.#identity.credentials
  }

  get experiment(): Assignment | undefined {
    return this.#experiment
  }

  header(name: string): string | undefined {
    return this.#headers.get(name)
  }

  json<T>(schema: z.ZodType<T>): Promise<T> {
    return this.body.json(schema)
  }

  queryAs<T>(schema: z.ZodType<T>): T {
    const values: Record<string, string> = {}
    for (const [name, value] of this.query) if (value !== '' && !Object.hasOwn(values, name)) values[name] = value
    const parsed = schema.safeParse(values)
    if (parsed.success) return parsed.data
    throw invalid(parsed.error, 'query')
  }

  paramAs<T>(name: string, schema: z.ZodType<T>): T {
    const parsed = schema.safeParse(this.params[name])
    if (parsed.success) return parsed.data
    throw new HttpError('bad_request', parsed.error.issues[0]?.message, { path: name })
  }

  identify(identity: Identity, experiment: Assignment | undefined): void {
    this.#identity = identity
    this.#experiment = experiment
    this.body.identified()
  }

  /** Call when the request was answered or its client has disconnected. */
  end(): void {
    this.#ended = true
    this.body.discard()
    this.#aborter?.abort()
  }
}

function decoded(text: string | undefined): string | undefined {
  try {
    return decodeURIComponent(text ?? '')
  } catch (error) {
    if (error instanceof URIError) return undefined
    throw error
  }
}

/** Calls back once when a signal is aborted; at once if it already is, unlike `addEventListener`. */
export function onAbort(signal: AbortSignal, listener: () => void): void {
  if (signal.aborted) listener()
  else signal.addEventListener('abort', listener, { once: true })
}

/** The bearer token of an Authorization header. @param authorization '' or undefined if the header is absent */
export function bearerOf(authorization: string | undefined): string | undefined {
  return authorization === undefined ? undefined : BEARER.exec(authorization)?.[1]
}
