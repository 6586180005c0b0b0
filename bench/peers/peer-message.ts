// Messages between the processes of the comparison.

export const PEERS = ['parley', 'bare', 'ws', 'socket.io', 'sse'] as const
/** `bare`: uWebSockets.js; `sse`: node:http with resumable-stream. */
export type Peer = (typeof PEERS)[number]

export type ToPeerReaders =
  | {
      readonly ask: 'connect'
      readonly peer: Peer
      readonly port: number
      readonly sockets: number
      readonly topics: number
      /** The first topic's number and the local address, for several reader processes of Parley. */
      readonly first?: number
      readonly from?: string
    }
  /** Only Parley: sends a message to every session, at once or spread over a time. */
  | { readonly ask: 'send'; readonly text: string; readonly topics: number; readonly spreadMs?: number }
  | { readonly ask: 'clear' }
  | { readonly ask: 'report' }
  /** Cuts one in `every` connections, each at a random time, and reconnects them after a pause. */
  | { readonly ask: 'cut'; readonly every: number; readonly withinMs: number; readonly backMs: number }
  /** Counts missing and repeated outputs. */
  | { readonly ask: 'judge'; readonly outputs: number }
  | { readonly ask: 'close' }

export interface PeerReport {
  readonly outputs: number
  readonly messages: number
  readonly bytes: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  /** CPU of the reader process, in microseconds. */
  readonly cpu: number
}

/** The sum over all readers. */
export interface Judgement {
  readonly expected: number
  readonly lost: number
  readonly repeated: number
  readonly cuts: number
}

export type FromPeerReaders =
  | { readonly done: true }
  | { readonly report: PeerReport }
  | { readonly judgement: Judgement }
