// Driver: a simulated user of one transport. It behaves like a real client, implements PROTOCOL.md without the SDK, and
// passes everything it reads to the verifier: it never repairs, drops or sorts anything.
import { setTimeout as sleep } from 'node:timers/promises'
import type { StreamVerifier } from '../stream-verifier.ts'

export const TRANSPORT_NAMES = ['ws', 'sse', 'ndjson', 'request', 'long-poll', 'short-poll', 'sdk'] as const
export type TransportName = (typeof TRANSPORT_NAMES)[number]

/** Notifications of a driver about one answer. */
export interface Watch {
  /** New outputs arrived. */
  outputs(count: number): void
  /** The answer lost its connection; `resumed`: the driver reads it again. */
  interrupted(): void
  resumed(): void
  /** The server reset the reader: the session is sent again from its beginning. */
  reset(): void
}

export interface AskRequest {
  /** The command's id, or its `Idempotency-Key`. */
  readonly id: string
  readonly content: string
  readonly verifier: StreamVerifier
  readonly watch: Watch
  /** Aborted when the user gives up: the driver cancels the run and reads until its end. */
  readonly gaveUp: AbortSignal
}

export interface DriverUser {
  /** Connects, if the transport keeps a connection. */
  arrive(): Promise<void>
  /**
   * Resolves when the answer has ended. Rejects with `Refused` if the server refuses the question and a retry does not
   * help.
   */
  ask(request: AskRequest): Promise<void>
  close(): void
}

export interface DriverContext {
  readonly url: string
  readonly session: string
  readonly model: string | undefined
  readonly token: string | undefined
  /** A connection without data for this long counts as dead, in ms. */
  readonly silenceMs: number
  readonly meter: ByteMeter
  readonly random: () => number
}

export interface MeteredSocket {
  readonly bytesRead: number
  readonly bytesWritten: number
  once(event: 'close', listener: () => void): unknown
}

/** Counts the bytes of sockets in both directions, headers included. */
export class ByteMeter {
  readonly #open = new Set<MeteredSocket>()
  #closed = 0

  /** Counts the socket, unless it is counted already. */
  watch(socket: MeteredSocket): void {
    if (this.#open.has(socket)) return
    this.#open.add(socket)
    socket.once('close', () => {
      this.#open.delete(socket)
      this.#closed += bytesOf(socket)
    })
  }

  get total(): number {
    let total = this.#closed
    for (const socket of this.#open) total += bytesOf(socket)
    return total
  }
}

function bytesOf({ bytesRead, bytesWritten }: MeteredSocket): number {
  return bytesRead + bytesWritten
}

/** The server refused the request, and retrying does not help. */
export class Refused extends Error {
  readonly code: string
  constructor(code: string) {
    super(`refused: ${code}`)
    this.name = 'Refused'
    this.code = code
  }
}

/** Milliseconds before the next attempt: exponential with jitter, at most 5 s. */
export function pauseOf(attempt: number, random: () => number): number {
  return Math.min(5_000, 100 * 2 ** Math.min(attempt, 10)) * (0.5 + random() / 2)
}

/** Resolves after the time, or as soon as the signal is aborted. */
export function sleepUnlessAborted(ms: number, signal: AbortSignal): Promise<void> {
  return sleep(Math.max(0, ms), undefined, { signal }).catch(() => undefined)
}
