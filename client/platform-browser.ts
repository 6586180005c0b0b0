// The platform's WebSocket in browsers, Deno, Bun and workers. `package.json` chooses between this file and
// platform-node.ts, so that no bundle for a browser holds `ws`.
import type { WebSocketConstructor } from './web-socket.ts'

export function platformWebSocket(): WebSocketConstructor {
  return globalThis.WebSocket as unknown as WebSocketConstructor
}
