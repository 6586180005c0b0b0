// What the processes of a benchmark say to each other.

export type ToServer =
  /** `collected`: memory without what is garbage. */
  | { readonly ask: 'usage'; readonly collected?: true }
  | { readonly ask: 'publish'; readonly load: Load }
  /** Parley only. */
  | { readonly ask: 'profile'; readonly what: 'time' | 'bytes'; readonly ms: number }
  | { readonly ask: 'stop' }

/** `topics` streams at `rate` tokens a second each. */
export interface Load {
  readonly topics: number
  readonly rate: number
  readonly seconds: number
}

export type FromServer =
  | { readonly port: number }
  /** CPU in microseconds since the process began; resident bytes. */
  | { readonly cpu: number; readonly rss: number }
  | { readonly stages: Stages }

/** Microseconds of the main thread, or bytes allocated, by stage of a token's way. */
export type Stages = Readonly<Record<string, number>>

export type ToReaders =
  | {
      readonly ask: 'connect'
      readonly port: number
      readonly kind: 'parley' | 'bare'
      readonly sockets: number
      readonly topics: number
    }
  /** Parley only: every session gets a message that starts a run, all at once unless they are spread. */
  | { readonly ask: 'send'; readonly text: string; readonly topics: number; readonly spreadMs?: number }
  | { readonly ask: 'clear' }
  | { readonly ask: 'report' }
  | { readonly ask: 'close' }

export interface Report {
  readonly tokens: number
  readonly messages: number
  readonly bytes: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  /** CPU of the reading process in microseconds. */
  readonly cpu: number
}
export type FromReaders = { readonly done: true } | { readonly report: Report }
