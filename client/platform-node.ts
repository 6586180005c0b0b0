// The platform on Node. It uses the package `ws`, which reports close codes and can end dead sockets at once.
import { WebSocket } from 'ws'
import type { WebSocketConstructor } from './client-options.ts'
import type { DoorStorage } from './transport/door.ts'

export function platformWebSocket(): WebSocketConstructor {
  return WebSocket as unknown as WebSocketConstructor
}

/** Does nothing: Node does not report that the network has returned. */
export function onWake(_callback: () => void): () => void {
  return () => undefined
}

/** Always false: a program has no visibility. */
export function isHidden(): boolean {
  return false
}

/** Does nothing: a program is never hidden. */
export function onHide(_callback: () => void): () => void {
  return () => undefined
}

/** None: a program passes its own storage. */
export function platformStorage(): DoorStorage | undefined {
  return undefined
}

/** Always succeeds: Node does not limit the connections to a server. */
export async function acquireStream(_server: string): Promise<(() => void) | undefined> {
  return () => undefined
}

/** Sessions of one client that have a stream or a long poll at the same time. */
export const MAX_READERS = 256
/** Whether the platform may hold a WebSocket back: Node does not. */
export const DELAYS_SOCKETS = false
/** Concurrent command requests. */
export const MAX_COMMANDS = 16
