// The platform's WebSocket in browsers, Deno, Bun and workers. `package.json` chooses between this file and
// platform-node.ts, so that no bundle for a browser holds `ws`.
import type { DoorStorage } from './transport/door.ts'
import type { WebSocketConstructor } from './transport/websocket/web-socket.ts'

export function platformWebSocket(): WebSocketConstructor {
  return globalThis.WebSocket as unknown as WebSocketConstructor
}

/** Calls back when the network, or the person, has come back. @returns a function that ends it */
export function onWake(callback: () => void): () => void {
  const onVisible = (): void => {
    if (globalThis.document?.visibilityState === 'visible') callback()
  }
  globalThis.addEventListener?.('online', callback)
  globalThis.document?.addEventListener('visibilitychange', onVisible)
  return () => {
    globalThis.removeEventListener?.('online', callback)
    globalThis.document?.removeEventListener('visibilitychange', onVisible)
  }
}

/** Nobody looks at the page: it should not hold what other pages need. */
export function isHidden(): boolean {
  return globalThis.document?.visibilityState === 'hidden'
}

/** Calls back when nobody looks at the page any more. @returns a function that ends it */
export function onHide(callback: () => void): () => void {
  const onChange = (): void => {
    if (isHidden()) callback()
  }
  globalThis.document?.addEventListener('visibilitychange', onChange)
  return () => globalThis.document?.removeEventListener('visibilitychange', onChange)
}

/** Kept by the browser from page to page; some pages may not have it. */
export function platformStorage(): DoorStorage | undefined {
  try {
    return globalThis.localStorage
  } catch {
    return undefined
  }
}

/** Browsers open six connections to a server that speaks HTTP/1.1, for all tabs together: commands need some of them. */
export const STREAMS = 3
/** Commands on their way at once. */
export const POSTS = 2
