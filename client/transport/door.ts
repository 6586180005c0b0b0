// Door: the SDK's public name for a kind of transport. Also the policy and the storage of the automatic choice.

export type Door = 'websocket' | 'sse' | 'long-poll'

/** All transports, in order of preference. */
export const TRANSPORTS: readonly [Door, ...Door[]] = ['websocket', 'sse', 'long-poll']

/** When `auto` leaves a transport, and when it probes for a better one. All values are in milliseconds. */
export interface DoorPolicy {
  /** Timeout of opening a transport, and of a stream's first bytes. Default 4,000. */
  readonly timeoutMs: number
  /** How long a stream may deliver nothing while the server has something to deliver. Default 8,000. */
  readonly stallMs: number
  /** Delay of the first probe for a better transport; it doubles with each probe. Default 30,000. */
  readonly probeMs: number
  /** Longest delay between probes. Default 900,000. */
  readonly probeMaxMs: number
  /** How long a better transport must work before the client moves to it. Default 3,000. */
  readonly holdMs: number
}

export const DEFAULT_POLICY: DoorPolicy = {
  timeoutMs: 4_000,
  stallMs: 8_000,
  probeMs: 30_000,
  probeMaxMs: 900_000,
  holdMs: 3_000,
}

/** A storage like `localStorage`. */
export interface DoorStorage {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
}

/** @returns undefined if there is no storage, if it is full, or if the page may not use it */
export function tryStorage<T>(storage: DoorStorage | undefined, use: (storage: DoorStorage) => T): T | undefined {
  try {
    return storage && use(storage)
  } catch {
    // It is only a hint: everything works without.
    return undefined
  }
}

/** Milliseconds after which an open connection counts as stable. */
export const STABLE_MS = 5_000
