// The little of a WebSocket that the SDK uses: the standard's and the one of `ws` both fit.

export interface WebSocketLike {
  binaryType: string
  readonly readyState: number
  readonly protocol: string
  onopen: ((event: never) => void) | null
  onmessage: ((event: { readonly data: unknown }) => void) | null
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null
  onerror: ((event: never) => void) | null
  send(data: string | Uint8Array<ArrayBuffer>): void
  close(code?: number, reason?: string): void
  /** Only `ws` has it: ends the socket without the closing handshake. */
  terminate?(): void
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike
