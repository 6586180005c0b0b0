// HttpBody: the body of one request, limited in bytes and in time. It subscribes in the request handler's turn, because
// uWS does not buffer a body. A body over the limit, or of a refused request, is still received for a while and discarded: a
// client whose connection is reset while it sends never reads the error. Of a stranger's body the server reads only a beginning.
import {
  decodeJsonInPasses,
  jsonCodec,
  LIMITS,
  ReplyError,
  safeParseExact,
  TooManyValuesError,
  wellFormed,
} from '@parley/protocol'
import type { z } from 'zod'
import type { ByteBudget } from '../../limit/byte-budget.ts'
import { afterPass } from '../../store/large-value.ts'
import type { HttpResponse } from '../uws.ts'
import { HttpError } from './http-error.ts'

export interface BodyLimits {
  /** Maximum size in bytes. */
  readonly bytes: number
  /** For the unfinished bodies of all requests. */
  readonly budget: ByteBudget
  /** The part of it for requests whose user is not known yet. */
  readonly strangers: ByteBudget
  /** Milliseconds within which the whole body must have arrived, for each MiB of it. */
  readonly ms: number
}

export interface BodyHeaders {
  /** '' if the header is absent. */
  readonly contentLength: string
  readonly transferEncoding: string
  readonly contentType: string
  readonly contentEncoding: string
}

/** A body of up to this many times the limit, and of so many bytes more than it, is received to its end. */
const DISCARD_FACTOR = 16
const DISCARD_BYTES = 16 * 1024 * 1024
/** Memory of a chunk besides its bytes. */
const CHUNK_BYTES = 128
/** The server reads no more of a body before the user is known. What uWS has received at once comes on top: up to 512 KiB. */
const STRANGER_BYTES = 64 * 1024
const DECODED = { maxValues: LIMITS.values, exact: true }
const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json(?: *;.*)?$/i

export class HttpBody {
  readonly #response: HttpResponse
  readonly #headers: BodyHeaders
  readonly #limits: BodyLimits
  #isIdentified = false
  #isPaused = false
  #timer: NodeJS.Timeout | undefined
  #chunks: Buffer[] = []
  /** Bytes received, and the memory of `#chunks`, which the budget counts. */
  #bytes = 0
  #kept = 0
  #state: 'receiving' | 'complete' | 'failed'
  #error: HttpError | ReplyError | undefined
  #waiting: (() => void)[] = []

  constructor(response: HttpResponse, headers: BodyHeaders, limits: BodyLimits) {
    this.#response = response
    this.#headers = headers
    this.#limits = limits
    const declared = Number(headers.contentLength)
    if (headers.transferEncoding === '' && !(declared > 0)) {
      this.#state = 'complete'
      return
    }
    this.#state = 'receiving'
    if (declared > discardedUpTo(limits.bytes)) {
      this.#fail(tooLarge(limits.bytes, true))
      return
    }
    const bytes = Math.min(headers.transferEncoding === '' ? declared : limits.bytes, limits.bytes)
    const ms = limits.ms * Math.max(1, bytes / LIMITS.frameBytes)
    this.#startTimer(ms)
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

  /** @throws HttpError too_large, body_timeout; ReplyError unavailable */
  async bytes(): Promise<Buffer> {
    await this.received()
    if (this.#error !== undefined) throw this.#error
    return Buffer.concat(this.#chunks)
  }

  /**
   * Parses the body; an empty body counts as `{}`.
   * @throws HttpError bad_request, unsupported_media_type, too_large, body_timeout; ReplyError unavailable
   */
  async json<T>(schema: z.ZodType<T>): Promise<T> {
    const bytes = await this.bytes()
    const value = bytes.length === 0 ? {} : await this.#parse(bytes)
    this.#release()
    await afterPass(bytes.length)
    const clean = wellFormed(value)
    await afterPass(bytes.length)
    const checked = matching(schema, clean)
    await afterPass(bytes.length)
    return checked
  }

  /** Call when the user is known: the rest of the body is read. */
  identified(): void {
    const { budget, strangers } = this.#limits
    strangers.give(this.#kept)
    this.#isIdentified = true
    if (!budget.take(this.#kept)) {
      this.#kept = 0
      this.#refuse(tooManyBodies())
    }
    this.#resume()
  }

  /** Call when the request is refused, or if its route takes no body: the rest is received, but not kept, and not for longer than that of a small body. */
  ignore(): void {
    this.#error ??= new HttpError('bad_request')
    this.#release()
    if (this.#state === 'receiving') this.#startTimer(this.#limits.ms)
    this.#resume()
  }

  /** Call when the client has disconnected or the request was answered. */
  discard(): void {
    clearTimeout(this.#timer)
    this.#release()
    if (this.#state === 'receiving') this.#settle('failed')
  }

  get #budget(): ByteBudget {
    return this.#isIdentified ? this.#limits.budget : this.#limits.strangers
  }

  #resume(): void {
    if (!this.#isPaused || this.#state !== 'receiving') return
    this.#isPaused = false
    this.#response.resume()
  }

  #startTimer(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#fail(new HttpError('body_timeout', undefined, { closes: true })), ms)
  }

  async #parse(bytes: Buffer): Promise<unknown> {
    const { contentType, contentEncoding } = this.#headers
    const isPlain = contentEncoding === '' || contentEncoding === 'identity'
    if (!isPlain || !JSON_TYPE.test(contentType)) throw new HttpError('unsupported_media_type')
    const passes = decodeJsonInPasses(bytes, DECODED)
    for (;;) {
      const { done, value } = refusing(() => passes.next())
      if (done === true) return value
      await afterPass(bytes.length)
    }
  }

  #receive(chunk: ArrayBuffer, isLast: boolean): void {
    if (this.#state !== 'receiving') return
    this.#bytes += chunk.byteLength
    const { bytes } = this.#limits
    if (this.#bytes > bytes) this.#refuse(tooLarge(bytes, this.#bytes > discardedUpTo(bytes)))
    else if (this.#error === undefined && !this.#budget.take(chunk.byteLength + CHUNK_BYTES))
      this.#refuse(tooManyBodies())
    if (this.#error === undefined) {
      this.#kept += chunk.byteLength + CHUNK_BYTES
      // The chunk is copied, because uWS reuses its buffer when this returns.
      if (chunk.byteLength > 0) this.#chunks.push(Buffer.from(new Uint8Array(chunk)))
      if (!this.#isIdentified && !this.#isPaused && !isLast && this.#kept >= STRANGER_BYTES) {
        this.#isPaused = true
        this.#response.pause()
      }
    }
    if (this.#bytes > discardedUpTo(bytes)) this.#settle('failed')
    else if (isLast) this.#settle(this.#error === undefined ? 'complete' : 'failed')
  }

  #refuse(error: HttpError | ReplyError): void {
    this.#error = error
    this.#release()
  }

  #release(): void {
    this.#chunks = []
    this.#budget.give(this.#kept)
    this.#kept = 0
  }

  #fail(error: HttpError): void {
    if (this.#state !== 'receiving') return
    this.#refuse(error)
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

/** @throws HttpError bad_request, too_large */
export function decodeJson(bytes: Uint8Array): unknown {
  return refusing(() => jsonCodec.decode(bytes, DECODED))
}

function refusing<T>(decode: () => T): T {
  try {
    return decode()
  } catch (cause) {
    if (cause instanceof TooManyValuesError) throw tooManyValues(cause)
    if (!(cause instanceof SyntaxError)) throw cause
    throw new HttpError('bad_request', `The body is ${cause.message}.`, { cause })
  }
}

/** @throws HttpError bad_request */
export function conforming<T>(schema: z.ZodType<T>, value: unknown): T {
  return matching(schema, wellFormed(value))
}

function matching<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = safeParseExact(schema, value)
  if (parsed.success) return parsed.data
  throw invalid(parsed.error)
}

function discardedUpTo(limit: number): number {
  return Math.min(limit * DISCARD_FACTOR, limit + DISCARD_BYTES)
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

function tooManyValues(cause: Error): HttpError {
  return new HttpError('too_large', `The request body exceeds the limit of ${LIMITS.values} keys and values.`, {
    cause,
  })
}

function tooManyBodies(): ReplyError {
  return new ReplyError('unavailable', 'This node is receiving too many large requests.', { retryAfterMs: 1_000 })
}
