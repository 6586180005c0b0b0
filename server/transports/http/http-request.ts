// HttpRequest: what a client asks for, read from uWS at once and whole, because uWS takes its request back when the
// handler returns. Who asks is known once the token was checked, before a route's handler is called.

import type { HttpResponse, HttpRequest as UwsRequest } from 'uWebSockets.js'
import { type Assignment, makeId, type UserLimits } from '@parley/protocol'
import type { z } from 'zod'
import type { Identity } from '../../auth/authenticator.ts'
import { clientKey, type TrustedProxies } from './client-address.ts'
import { type BodyLimits, HttpBody, invalid } from './http-body.ts'
import { HttpError } from './http-error.ts'
import { peerAddressOf } from './peer-address.ts'

export interface HttpRequest {
  /** A valid X-Request-Id of the client's, else one made here; every answer has it. */
  readonly id: string
  /** In capitals. */
  readonly method: string
  readonly path: string
  /** The parameters of the route's path, decoded. */
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  /** @param name in lower case @returns several of one name with commas between */
  header(name: string): string | undefined
  /** What is counted as one address. */
  readonly address: string
  /** Aborted when the exchange is over: it was answered in full, the client has left, or the server closes. */
  readonly signal: AbortSignal
  readonly user: string
  /** How people call them. */
  readonly name: string | undefined
  readonly role: string
  /** The user's own, by its token. */
  readonly limits: UserLimits | undefined
  /** That the user, or the client, takes part in. */
  readonly experiment: Assignment | undefined
  /**
   * Reads the body; none at all counts as `{}`.
   * @throws HttpError bad_request, unsupported_media_type, too_large, body_timeout
   */
  json<T>(schema: z.ZodType<T>): Promise<T>
  /** The query as an object of text; of several values of a name the first counts. @throws HttpError bad_request */
  queryAs<T>(schema: z.ZodType<T>): T
  /** A parameter of the path. @throws HttpError bad_request */
  paramAs<T>(name: string, schema: z.ZodType<T>): T
}

/** uWS waits for no more than 4 kB, but takes what is here at once. */
const HEADER_BYTES = 32 * 1024
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/
const NOBODY: Identity = { user: 'anonymous', role: 'owner' }

export class RequestSnapshot implements HttpRequest {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly address: string
  readonly params: Readonly<Record<string, string>>
  /** Why it is not worth handling. */
  readonly refused: HttpError | undefined
  readonly body: HttpBody
  readonly #query: string
  readonly #headers = new Map<string, string>()
  #parsedQuery: URLSearchParams | undefined
  #identity: Identity = NOBODY
  #experiment: Assignment | undefined
  #aborter: AbortController | undefined
  #gone = false

  /** @param names of the route's path parameters, in their order */
  constructor(
    response: HttpResponse,
    request: UwsRequest,
    names: readonly string[],
    limits: BodyLimits,
    proxies: TrustedProxies | undefined,
  ) {
    this.method = request.getMethod().toUpperCase()
    this.path = request.getUrl()
    // Undefined where there is none, whatever its type says.
    this.#query = request.getQuery() ?? ''
    let headerBytes = this.path.length + this.#query.length
    request.forEach((name, value) => {
      headerBytes += name.length + value.length
      const before = this.#headers.get(name)
      this.#headers.set(name, before === undefined ? value : `${before}, ${value}`)
    })
    this.address = clientKey(peerAddressOf(response, this.header('x-forwarded-for') ?? ''), proxies)
    const given = this.header('x-request-id')
    this.id = given !== undefined && REQUEST_ID.test(given) ? given : makeId('req')
    const params = names.map((name, index) => [name, decoded(request.getParameter(index))] as const)
    const isMalformed = params.some(([, value]) => value === undefined)
    if (headerBytes > HEADER_BYTES) this.refused = new HttpError('headers_too_large')
    else this.refused = isMalformed ? new HttpError('bad_request', 'The address is malformed.') : undefined
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
    if (this.#gone) this.#aborter.abort()
    return this.#aborter.signal
  }

  get user(): string {
    return this.#identity.user
  }

  /** Unix milliseconds at which the time of its token is over; undefined: never. */
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
    for (const [name, value] of this.query) if (!Object.hasOwn(values, name)) values[name] = value
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
  }

  /** It was answered, or its client is gone. */
  leave(): void {
    this.#gone = true
    this.body.drop()
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

/** Calls back once when a signal is aborted; at once if it is, which `addEventListener` would not. */
export function onAbort(signal: AbortSignal, listener: () => void): void {
  if (signal.aborted) listener()
  else signal.addEventListener('abort', listener, { once: true })
}
