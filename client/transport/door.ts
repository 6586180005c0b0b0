// Door: the names of the transports in the SDK, when a client leaves one, and where it remembers what worked.

export type Door = 'websocket' | 'sse' | 'long-poll'

/** Best first. */
export const DOORS: readonly [Door, ...Door[]] = ['websocket', 'sse', 'long-poll']

/** Milliseconds. */
export interface DoorPolicy {
  /** Within which a door is open, and a stream's first bytes are here. Default 4,000. */
  readonly timeoutMs: number
  /** For which a stream may bring nothing while there is something to bring. Default 8,000. */
  readonly stallMs: number
  /** Until a better door is first tried again; it doubles with each try. Default 30,000. */
  readonly probeMs: number
  /** Default 900,000. */
  readonly probeMaxMs: number
  /** For which a better door has to hold before the client moves. Default 3,000. */
  readonly holdMs: number
}

export const DEFAULT_DOORS: DoorPolicy = {
  timeoutMs: 4_000,
  stallMs: 8_000,
  probeMs: 30_000,
  probeMaxMs: 900_000,
  holdMs: 3_000,
}

/** As `localStorage`. */
export interface DoorStorage {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
}

/** A link that held for so long did not break soon. */
export const SOON_MS = 5_000
