// relayedResponse: the `Response` of a provider, from the frames of a relay. It costs per delta no more than that of Node's own `fetch`.
import type { IncomingMessage } from 'node:http'
import {
  CLOSED,
  DATA,
  END,
  FAULT,
  HEAD,
  type RelayFault,
  RelayFrameError,
  RelayFrameReader,
  type RelayHead,
} from '../relay/relay-frame.ts'

/**
 * The relay that had the response is gone, or gave it to a later driver of the run. The model call cannot continue, but its run can,
 * from the log.
 */
export class RelayLostError extends Error {
  override readonly name = 'RelayLostError'
}

/** Bytes that are read ahead. To pause the socket for each delta would cost more than the delta. */
const AHEAD_BYTES = 64 * 1024
/** Milliseconds that a relay gets to end its response after the last frame, so that the connection can be reused. */
const ENDED_MS = 1_000

/** Resolves when the provider has sent its headers. @param source the response of the relay */
export function relayedResponse(source: IncomingMessage, signal: AbortSignal | undefined): Promise<Response> {
  return new Promise((resolve, reject) => {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined
    const frames = new RelayFrameReader()
    let isOver = false
    let isPaused = false
    /** @returns whether it was not over before */
    const end = (): boolean => {
      if (isOver) return false
      isOver = true
      signal?.removeEventListener('abort', abort)
      return true
    }
    const fail = (error: Error): void => {
      if (!end()) return
      controller?.error(error)
      reject(error)
      source.destroy()
    }
    const complete = (): void => {
      if (!end()) return
      controller?.close()
      reject(new RelayLostError('The relay sent no head.'))
      source.setTimeout(ENDED_MS, () => source.destroy())
      source.resume()
    }
    const abort = (): void => fail(signal?.reason)
    const body = new ReadableStream<Uint8Array>(
      {
        start(started) {
          controller = started
        },
        pull() {
          if (!isPaused) return
          isPaused = false
          source.resume()
        },
        cancel() {
          if (end()) source.destroy()
        },
      },
      { highWaterMark: AHEAD_BYTES, size: (chunk) => chunk?.length ?? 0 },
    )
    const take = (type: number, payload: Buffer): void => {
      if (isOver) return
      if (type === DATA) controller?.enqueue(payload)
      else if (type === HEAD) resolve(responseWith(JSON.parse(payload.toString()) as RelayHead, body))
      else if (type === END) complete()
      else if (type === FAULT) fail(errorOf(JSON.parse(payload.toString()) as RelayFault))
    }
    signal?.addEventListener('abort', abort)
    source.on('data', (chunk: Buffer) => {
      if (isOver) return
      try {
        frames.push(chunk, take)
      } catch (error) {
        fail(error instanceof RelayFrameError ? error : new RelayFrameError('The relay sent a malformed frame.'))
      }
      if (isOver || (controller?.desiredSize ?? 0) > 0) return
      isPaused = true
      source.pause()
    })
    const cut = (): void => fail(new RelayLostError('The connection to the relay broke.'))
    source.on('error', cut)
    source.on('close', cut)
  })
}

/** A fault of the provider is an error of a socket, as `fetch` reports it. */
function errorOf({ code, message }: RelayFault): Error {
  if (code === CLOSED.code) return new RelayLostError(message)
  return new TypeError('fetch failed', { cause: Object.assign(new Error(message), { code }) })
}

/** Statuses whose responses have no body (Fetch standard, null body status). */
const BODILESS = new Set([101, 204, 205, 304])

function responseWith({ status, headers }: RelayHead, body: ReadableStream<Uint8Array>): Response {
  const list = headers.map(([name, value]): [string, string] => [name, value])
  return new Response(BODILESS.has(status) ? null : body, { status, headers: list })
}
