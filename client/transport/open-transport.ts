// openTransport: the link for a door. The only file that knows all of them.
import { HttpTransport } from './http/http-transport.ts'
import type { OpenTransport } from './transport.ts'
import { WebSocketTransport } from './websocket/websocket-transport.ts'

export const openTransport: OpenTransport = (door, options, handler) =>
  door === 'websocket' ? new WebSocketTransport(options, handler) : new HttpTransport(door, options, handler)
