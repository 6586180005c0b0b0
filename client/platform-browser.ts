// The platform in browsers, Deno, Bun and workers. `package.json` selects this file or platform-node.ts, so that
// bundles for browsers do not contain `ws`.

import type { WebSocketConstructor } from './client-options.ts'
import type { DoorStorage } from './transport/door.ts'

export { acquireStream } from './stream-slots.ts'

export function platformWebSocket(): WebSocketConstructor {
  return globalThis.WebSocket as unknown as WebSocketConstructor
}

/** Calls back when the network returns or the page becomes visible. @returns a function that unsubscribes */
export function onWake(callback: () => void): () => void {
  const unsubscribe = onVisibility('visible', callback)
  globalThis.addEventListener?.('online', callback)
  return () => {
    globalThis.removeEventListener?.('online', callback)
    unsubscribe()
  }
}

/** Whether the page is hidden. A hidden page must not occupy connections that visible pages need. */
export function isHidden(): boolean {
  return globalThis.document?.visibilityState === 'hidden'
}

/** Calls back when the page becomes hidden. @returns a function that unsubscribes */
export function onHide(callback: () => void): () => void {
  return onVisibility('hidden', callback)
}

function onVisibility(state: DocumentVisibilityState, callback: () => void): () => void {
  const onChange = (): void => {
    if (globalThis.document?.visibilityState === state) callback()
  }
  globalThis.document?.addEventListener('visibilitychange', onChange)
  return () => globalThis.document?.removeEventListener('visibilitychange', onChange)
}

/** The browser's storage. Some pages may not access it. */
export function platformStorage(): DoorStorage | undefined {
  try {
    return globalThis.localStorage
  } catch {
    return undefined
  }
}

/** Sessions of one client that have a stream or a long poll at the same time. Leaves one slot to another tab. */
export const MAX_READERS = 3
/** Whether the platform may hold a WebSocket back: Firefox does, after others have failed. */
export const DELAYS_SOCKETS = true
/** Concurrent command requests. */
export const MAX_COMMANDS = 2
