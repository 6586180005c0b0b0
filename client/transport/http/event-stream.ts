// readStream: parses the frames of an event stream until the stream ends or is silent for too long.
import type { ServerFrame } from '@parley/protocol'
import type { Clock } from '../../client-options.ts'
import { ENTRY_FIELDS, hasFields } from '../frame-codec.ts'
import { HttpFailure } from './http-failure.ts'
import { type SseEvent, SseParser } from './sse-parser.ts'

export interface StreamReader {
  readonly clock: Clock
  /** The timeout of the next bytes, in milliseconds. */
  timeoutMs(): number
  /** Bytes have arrived, possibly only a heartbeat. */
  received(): void
  frames(frames: readonly ServerFrame[]): void
  /** Aborts the request and its body. */
  abort(): void
}

/** Resolves when the body ends. @throws HttpFailure `timeout` after silence; the errors of the body */
export async function readStream(body: ReadableStream<Uint8Array>, reading: StreamReader): Promise<void> {
  const { clock } = reading
  const parser = new SseParser()
  const reader = body.getReader()
  let isTimedOut = false
  const startTimer = (): (() => void) =>
    clock.after(reading.timeoutMs(), () => {
      isTimedOut = true
      reading.abort()
    })
  let cancel = startTimer()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      cancel()
      if (done) return
      reading.received()
      const frames = parser.push(value).flatMap(framesOf)
      if (frames.length > 0) reading.frames(frames)
      cancel = startTimer()
    }
  } catch (error) {
    throw isTimedOut ? new HttpFailure('timeout', 'The stream timed out.', { cause: error }) : error
  } finally {
    cancel()
  }
}

/** Frames other than entries. */
const CONTROL_FRAMES: ReadonlySet<string> = new Set(['attached', 'live', 'presence', 'goaway'])

/** Data that is not a frame shows that the stream is not Parley's. */
function framesOf({ event, data }: SseEvent): readonly ServerFrame[] {
  let value: unknown
  let cause: unknown
  try {
    value = JSON.parse(data)
  } catch (error) {
    cause = error
  }
  if (!hasFields({ value }, { value: 'object' })) {
    throw new HttpFailure('intermediary', 'The stream contains an invalid event.', { cause })
  }
  if (hasFields(value, ENTRY_FIELDS)) return [{ ...value, type: 'entry' } as ServerFrame]
  // Events of later protocol versions are ignored.
  return CONTROL_FRAMES.has(event) ? [{ ...(value as object), type: event } as ServerFrame] : []
}
