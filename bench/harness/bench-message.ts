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
