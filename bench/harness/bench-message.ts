// Messages between the processes of a benchmark.

export type ToServer =
  /** `collected`: after a garbage collection. */
  | { readonly ask: 'usage'; readonly collected?: true }
  | { readonly ask: 'publish'; readonly load: Load }
  /** Only Parley. */
  | { readonly ask: 'profile'; readonly what: 'time' | 'bytes'; readonly ms: number }
  | { readonly ask: 'stop' }

/** `topics` streams with `rate` tokens per second each. */
export interface Load {
  readonly topics: number
  readonly rate: number
  readonly seconds: number
}

export type FromServer =
  | { readonly port: number }
  /** CPU in microseconds since the start of the process, and resident bytes. */
  | { readonly cpu: number; readonly rss: number }
  | { readonly stages: Stages }

/** Microseconds of the main thread, or allocated bytes, by stage. */
export type Stages = Readonly<Record<string, number>>

export type ToReaders =
  | {
      readonly ask: 'connect'
      readonly port: number
      readonly kind: 'parley' | 'bare'
      readonly sockets: number
      readonly topics: number
    }
  /** Only Parley: sends a message to every session, at once or spread over a time. */
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
  /** CPU of the reader process, in microseconds. */
  readonly cpu: number
}
export type FromReaders = { readonly done: true } | { readonly report: Report }
