// The platform's WebSocket on Node: the package `ws`, which tells close codes and ends dead sockets at once.
import { WebSocket } from 'ws'
import type { DoorStorage } from './transport/door.ts'
import type { WebSocketConstructor } from './transport/websocket/web-socket.ts'

export function platformWebSocket(): WebSocketConstructor {
  return WebSocket as unknown as WebSocketConstructor
}

/** Node does not tell when the network is back. @returns a function that ends it */
export function onWake(_callback: () => void): () => void {
  return () => undefined
}

/** A program is no page that somebody looks at. */
export function isHidden(): boolean {
  return false
}

/** @returns a function that ends it */
export function onHide(_callback: () => void): () => void {
  return () => undefined
}

/** A program says itself where to remember. */
export function platformStorage(): DoorStorage | undefined {
  return undefined
}

/** Sessions that are read at once by a stream, or a long poll, of their own. */
export const STREAMS = 256
/** Commands on their way at once. */
export const POSTS = 16
