// HttpBody: the body of one request, limited in bytes and in time. It subscribes in the request handler's turn, because
// uWS does not buffer a body. A body over the limit is still received for a while and discarded: a client whose
// connection is reset while it sends never reads the error.
import { jsonCodec, safeParseExact, wellFormed } from '@parley/protocol'
import type { z } from 'zod'
import type { HttpResponse } from '../uws.ts'
import { HttpError } from './http-error.ts'

export interface BodyLimits {
  /** Maximum size in bytes. */
  readonly bytes: number
  /** Milliseconds until the whole body must have arrived. */
  readonly ms: number
}

export interface BodyHeaders {
  /** '' if the header is absent. */
  readonly contentLength: string
  readonly transferEncoding: string
  readonly contentType: string
  readonly contentEncoding: string
}

/** A body of up to this many times the limit is received to its end. */
const DISCARD_FACTOR = 16
const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json(?: *;.*)?$/i

export class HttpBody {
  readonly #headers: BodyHeaders
  readonly #limits: BodyLimits
  readonly #timer: NodeJS.Timeout | undefined
  #chunks: Buffer[] = []
  #bytes = 0
  #state: 'receiving' | 'complete' | 'failed'
  #error: HttpError | undefined
  #waiting: (() => void)[] = []

  constructor(response: HttpResponse, headers: BodyHeaders, limits: BodyLimits) {
    this.#headers = headers
    this.#limits = limits
    const declared = Number(headers.contentLength)
    if (headers.transferEncoding === '' && !(declared > 0)) {
      this.#state = 'complete'
      return
    }
    this.#state = 'receiving'
    if (declared > limits.bytes * DISCARD_FACTOR) {
      this.#fail(tooLarge(limits.bytes, true))
      return
    }
    this.#timer = setTimeout(() => this.#fail(new HttpError('body_timeout', undefined, { closes: true })), limits.ms)
    response.onData((chunk, isLast) => this.#receive(chunk, isLast))
  }

  /** Whether no more data is expected. */
  get settled(): boolean {
    return this.#state !== 'receiving'
  }

  /** Resolves when no more data is expected: complete, too large, too slow, or the client has disconnected. */
  async received(): Promise<void> {
    if (this.settled) return
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** @throws HttpError too_large, body_timeout */
  async bytes(): Promise<Buffer> {
    await this.received()
    if (this.#error !== undefined) throw this.#error
    return Buffer.concat(this.#chunks)
  }

  /**
   * Parses the body; an empty body counts as `{}`.
   * @throws HttpError bad_request, unsupported_media_type, too_large, body_timeout
   */
  async json<T>(schema: z.ZodType<T>): Promise<T> {
    const bytes = await this.bytes()
    const value = bytes.length === 0 ? {} : this.#parse(bytes)
    this.#chunks = []
    const parsed = safeParseExact(schema, wellFormed(value))
    if (parsed.success) return parsed.data
    throw invalid(parsed.error)
  }

  /** Call when the client has disconnected or the request was answered. */
  discard(): void {
    clearTimeout(this.#timer)
    this.#chunks = []
    if (this.#state === 'receiving') this.#settle('failed')
  }

  #parse(bytes: Buffer): unknown {
    const { contentType, contentEncoding } = this.#headers
    const isPlain = contentEncoding === '' || contentEncoding === 'identity'
    if (!isPlain || !JSON_TYPE.test(contentType)) throw new HttpError('unsupported_media_type')
    try {
      return jsonCodec.decode(bytes, { exact: true })
    } catch (cause) {
      if (!(cause instanceof SyntaxError)) throw cause
      throw new HttpError('bad_request', `The body is ${cause.message}.`, { cause })
    }
  }

  #receive(chunk: ArrayBuffer, isLast: boolean): void {
    if (this.#state !== 'receiving') return
    this.#bytes += chunk.byteLength
    if (this.#bytes > this.#limits.bytes) {
      this.#chunks = []
      const cut = this.#bytes > this.#limits.bytes * DISCARD_FACTOR
      if (isLast || cut) this.#fail(tooLarge(this.#limits.bytes, cut))
      return
    }
    // The chunk is copied, because uWS reuses its buffer when this returns.
    if (chunk.byteLength > 0) this.#chunks.push(Buffer.from(new Uint8Array(chunk)))
    if (isLast) this.#settle('complete')
  }

  #fail(error: HttpError): void {
    if (this.#state !== 'receiving') return
    this.#error = error
    this.#chunks = []
    this.#settle('failed')
  }

  #settle(state: 'complete' | 'failed'): void {
    clearTimeout(this.#timer)
    this.#state = state
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}

/** The error for the first issue a schema found. @param at where the value was sent, such as `query` */
export function invalid(error: z.ZodError, at?: string): HttpError {
  const found = error.issues[0]
  const issue = found === undefined ? undefined : deepest(found)
  const path = [...(at === undefined ? [] : [at]), ...(issue?.path ?? []).map(String)].join('.')
  return new HttpError('bad_request', issue?.message, path === '' ? {} : { path })
}

/** For a union: the issue of the member that the value matches best (the deepest issue), else the union's own issue. */
function deepest(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue
  const inner = issue.errors.flatMap(([first]) => (first === undefined ? [] : [deepest(first)]))
  const length = Math.max(0, ...inner.map(({ path }) => path.length))
  const closest = inner.find(({ path }) => path.length === length)
  return closest === undefined || length === 0 ? issue : { ...closest, path: [...issue.path, ...closest.path] }
}

function tooLarge(bytes: number, closes: boolean): HttpError {
  return new HttpError('too_large', `The request body exceeds the limit of ${bytes} bytes.`, { closes })
}
