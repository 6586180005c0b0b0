// Door: one way in which a user of the load test talks to Parley. A driver does what a real client of its door does, by
// PROTOCOL.md alone, and gives all that it reads to the verifier: it never repairs, drops or sorts anything.
import type { StreamVerifier } from '../stream-verifier.ts'

export const DOOR_NAMES = ['ws', 'sse', 'ndjson', 'request', 'long-poll', 'short-poll', 'sdk'] as const
export type DoorName = (typeof DOOR_NAMES)[number]

/** What a driver tells while an answer comes. */
export interface Watch {
  /** So many new outputs are here. */
  outputs(count: number): void
  /** The connection that it came over is gone; `resumed`: it is read on. */
  interrupted(): void
  resumed(): void
  /** The server had the reader begin anew. */
  reset(): void
}

export interface AskRequest {
  /** The command's id, and `Idempotency-Key`. */
  readonly id: string
  readonly content: string
  readonly verifier: StreamVerifier
  readonly watch: Watch
  /** The user lost patience: the run is to be cancelled, and is read until it has ended. */
  readonly gaveUp: AbortSignal
}

export interface DriverUser {
  /** Comes to be there, as far as the door knows such a thing. */
  arrive(): Promise<void>
  /** Resolves when the answer has ended. Rejects with a `Refused` when the server will not give one. */
  ask(request: AskRequest): Promise<void>
  close(): void
}

export interface DriverContext {
  readonly url: string
  readonly session: string
  readonly model: string | undefined
  readonly token: string | undefined
  /** A connection that was silent for so long is given up, in ms. */
  readonly silenceMs: number
  readonly meter: SocketMeter
  readonly random: () => number
}

/** Counts what goes over sockets. */
export interface SocketMeter {
  watch(socket: MeteredSocket): void
}

export interface MeteredSocket {
  readonly bytesRead: number
  readonly bytesWritten: number
  once(event: 'close', listener: () => void): unknown
}

/** The server answered, and the answer is that there will be none. */
export class Refused extends Error {
  readonly code: string
  constructor(code: string) {
    super(`refused: ${code}`)
    this.name = 'Refused'
    this.code = code
  }
}

/** Waits before the next try: longer each time, at random, at most 5 s. */
export function pauseOf(attempt: number, random: () => number): number {
  return Math.min(5_000, 100 * 2 ** Math.min(attempt, 10)) * (0.5 + random() / 2)
}

export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    if (signal?.aborted === true) done()
    else signal?.addEventListener('abort', done)
  })
}
