// readStream: the frames of an event stream, handed on as they come, until it ends or is silent for too long.
import type { ServerFrame } from '@parley/protocol'
import type { Clock } from '../../client-options.ts'
import { HttpFailure } from './http-failure.ts'
import { type SseEvent, SseParser } from './sse-parser.ts'

export interface StreamReading {
  readonly clock: Clock
  /** Milliseconds for which it may be silent, from now on. */
  patienceMs(): number
  /** Bytes came, be it a sign of life only. */
  heard(): void
  frames(frames: readonly ServerFrame[]): void
  /** Ends the request, and with it the body. */
  end(): void
}

/** Resolves when the body has ended. @throws HttpFailure `late` after silence; whatever the body throws */
export async function readStream(body: ReadableStream<Uint8Array>, reading: StreamReading): Promise<void> {
  const { clock } = reading
  const parser = new SseParser()
  const reader = body.getReader()
  let late = false
  const watch = (): (() => void) =>
    clock.after(reading.patienceMs(), () => {
      late = true
      reading.end()
    })
  let cancel = watch()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      cancel()
      if (done) return
      reading.heard()
      const frames = parser.push(value).flatMap(framesOf)
      if (frames.length > 0) reading.frames(frames)
      cancel = watch()
    }
  } catch (error) {
    throw late ? new HttpFailure('late', 'The stream was silent for too long.', { cause: error }) : error
  } finally {
    cancel()
  }
}

/** Frames that are no entries. */
const CONTROLS: ReadonlySet<string> = new Set(['attached', 'live', 'presence', 'goaway'])

/** Data that is no frame means a stream that is not Parley's. */
function framesOf({ event, data }: SseEvent): readonly ServerFrame[] {
  let value: unknown
  try {
    value = JSON.parse(data)
  } catch (error) {
    throw new HttpFailure('foreign', 'The stream holds something that is no event.', { cause: error })
  }
  if (typeof value !== 'object' || value === null) throw new HttpFailure('foreign', 'The stream holds no event.')
  const { session, cursor, event: body } = value as Record<string, unknown>
  const isEntry = typeof cursor === 'string' && typeof session === 'string' && typeof body === 'object' && body !== null
  if (isEntry) return [{ ...value, type: 'entry' } as ServerFrame]
  // Whatever later servers may add is passed over.
  return CONTROLS.has(event) ? [{ ...value, type: event } as ServerFrame] : []
}
