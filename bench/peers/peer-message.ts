// What the processes of the comparison say to each other, beyond what those of the other benchmarks do.

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
      /** The first topic's number, and the address of their own end: for several processes of readers of Parley. */
      readonly first?: number
      readonly from?: string
    }
  /** Parley only: every session gets a message that starts a run. */
  | { readonly ask: 'send'; readonly text: string; readonly topics: number }
  | { readonly ask: 'clear' }
  | { readonly ask: 'report' }
  /** Breaks every so many'th connection at a moment of its own within the time, and comes back soon. */
  | { readonly ask: 'cut'; readonly every: number; readonly withinMs: number; readonly backMs: number }
  /** @returns what is missing of so many outputs at each reader */
  | { readonly ask: 'judge'; readonly outputs: number }
  | { readonly ask: 'close' }

export interface PeerReport {
  readonly outputs: number
  readonly messages: number
  readonly bytes: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

/** Of all readers together. */
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
