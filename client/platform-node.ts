// The platform's WebSocket on Node: the package `ws`, which tells close codes and ends dead sockets at once.
import { WebSocket } from 'ws'
import type { WebSocketConstructor } from './web-socket.ts'

export function platformWebSocket(): WebSocketConstructor {
  return WebSocket as unknown as WebSocketConstructor
}

/** Node does not tell when the network is back. @returns a function that ends it */
export function onWake(_callback: () => void): () => void {
  return () => undefined
}
