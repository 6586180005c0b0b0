// What a resume storm's processes say to each other.

export type ToStorm =
  /** Connects every session to one node and starts an answer in it. */
  | {
      readonly ask: 'begin'
      readonly prefix: string
      readonly sessions: number
      readonly port: number
      /** Where to go when that one is gone. */
      readonly elsewhere: readonly number[]
      readonly jitterMs: number
      readonly count: number
      readonly rate: number
    }
  /** From now on who loses its connection comes back. */
  | { readonly ask: 'storm' }
  | { readonly ask: 'live' }
  | { readonly ask: 'report'; readonly count: number }

export interface StormReport {
  /** Milliseconds from the moment at which a client meant to come back until it was live. */
  readonly waits: readonly number[]
  /** The same from the moment at which it lost its node. */
  readonly whole: readonly number[]
  /** The same until its next token. */
  readonly tokens: readonly number[]
  /** Runs that changed hands. */
  readonly epochs: number
  readonly ended: number
  /** How often one was told that the log was away, and went on. */
  readonly told: number
  readonly problems: readonly string[]
}

export type FromStorm = { readonly done: true } | { readonly live: number } | StormReport
