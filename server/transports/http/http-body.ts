// HttpBody: the body of one request, from the first turn on: uWS keeps nothing of it. Bounded in bytes and in time. A
// body over the bound is still listened to for a while, unstored: who hears nothing but a reset never learns why.
import type { HttpResponse } from 'uWebSockets.js'
import { jsonCodec } from '@parley/protocol'
import type { z } from 'zod'
import { HttpError } from './http-error.ts'

export interface BodyLimits {
  /** Bytes that are taken. */
  readonly bytes: number
  /** Milliseconds in which all of it has to be here. */
  readonly ms: number
}

export interface BodyHeaders {
  /** '' where there is none. */
  readonly contentLength: string
  readonly transferEncoding: string
  readonly contentType: string
  readonly contentEncoding: string
}

/** A body of up to so many times the bound is heard to its end. */
const HEARD = 16
const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json(?: *;.*)?$/i

export class HttpBody {
  readonly #headers: BodyHeaders
  readonly #limits: BodyLimits
  readonly #timer: NodeJS.Timeout | undefined
  #chunks: Buffer[] = []
  #bytes = 0
  #state: 'coming' | 'whole' | 'failed'
  #error: HttpError | undefined
  #waiting: (() => void)[] = []

  constructor(response: HttpResponse, headers: BodyHeaders, limits: BodyLimits) {
    this.#headers = headers
    this.#limits = limits
    const declared = Number(headers.contentLength)
    if (headers.transferEncoding === '' && !(declared > 0)) {
      this.#state = 'whole'
      return
    }
    this.#state = 'coming'
    if (declared > limits.bytes * HEARD) {
      this.#fail(tooLarge(limits.bytes, true))
      return
    }
    this.#timer = setTimeout(() => this.#fail(new HttpError('body_timeout', undefined, { closes: true })), limits.ms)
    response.onData((chunk, isLast) => this.#take(chunk, isLast))
  }

  /** Nothing of it is still to come. */
  get settled(): boolean {
    return this.#state !== 'coming'
  }

  /** Resolves when nothing more is awaited of it: whole, too large, too slow, or its client is gone. */
  async heard(): Promise<void> {
    if (this.settled) return
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** @throws HttpError too_large, body_timeout */
  async bytes(): Promise<Buffer> {
    await this.heard()
    if (this.#error !== undefined) throw this.#error
    return Buffer.concat(this.#chunks)
  }

  /**
   * No body at all counts as `{}`.
   * @throws HttpError bad_request, unsupported_media_type, too_large, body_timeout
   */
  async json<T>(schema: z.ZodType<T>): Promise<T> {
    const bytes = await this.bytes()
    const value = bytes.length === 0 ? {} : this.#parse(bytes)
    this.#chunks = []
    const parsed = schema.safeParse(value)
    if (parsed.success) return parsed.data
    throw invalid(parsed.error)
  }

  /** The client is gone, or was answered. */
  drop(): void {
    clearTimeout(this.#timer)
    this.#chunks = []
    if (this.#state === 'coming') this.#settle('failed')
  }

  #parse(bytes: Buffer): unknown {
    const { contentType, contentEncoding } = this.#headers
    const isPlain = contentEncoding === '' || contentEncoding === 'identity'
    if (!isPlain || !JSON_TYPE.test(contentType)) throw new HttpError('unsupported_media_type')
    try {
      return jsonCodec.decode(bytes)
    } catch (cause) {
      if (!(cause instanceof SyntaxError)) throw cause
      throw new HttpError('bad_request', `The body is ${cause.message}.`, { cause })
    }
  }

  #take(chunk: ArrayBuffer, isLast: boolean): void {
    if (this.#state !== 'coming') return
    this.#bytes += chunk.byteLength
    if (this.#bytes > this.#limits.bytes) {
      this.#chunks = []
      const cut = this.#bytes > this.#limits.bytes * HEARD
      if (isLast || cut) this.#fail(tooLarge(this.#limits.bytes, cut))
      return
    }
    // uWS takes its buffer back when this returns.
    if (chunk.byteLength > 0) this.#chunks.push(Buffer.from(new Uint8Array(chunk)))
    if (isLast) this.#settle('whole')
  }

  #fail(error: HttpError): void {
    if (this.#state !== 'coming') return
    this.#error = error
    this.#chunks = []
    this.#settle('failed')
  }

  #settle(state: 'whole' | 'failed'): void {
    clearTimeout(this.#timer)
    this.#state = state
    const waiting = this.#waiting
    this.#waiting = []
    for (const tell of waiting) tell()
  }
}

/** What a schema finds wrong first. @param at where the value lies, such as `query` */
export function invalid(error: z.ZodError, at?: string): HttpError {
  const found = error.issues[0]
  const issue = found === undefined ? undefined : deepest(found)
  const path = [...(at === undefined ? [] : [at]), ...(issue?.path ?? []).map(String)].join('.')
  return new HttpError('bad_request', issue?.message, path === '' ? {} : { path })
}

/** Of a value that may have several forms, what is wrong with the one that it comes closest to, if it comes close to any. */
function deepest(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue
  const inner = issue.errors.flatMap(([first]) => (first === undefined ? [] : [deepest(first)]))
  const length = Math.max(0, ...inner.map(({ path }) => path.length))
  const closest = inner.find(({ path }) => path.length === length)
  return closest === undefined || length === 0 ? issue : { ...closest, path: [...issue.path, ...closest.path] }
}

function tooLarge(bytes: number, closes: boolean): HttpError {
  return new HttpError('too_large', `A body may have ${bytes} bytes.`, { closes })
}
