// openLink: the link for a door. The only file that knows all of them.
import { HttpLink } from './http-link.ts'
import type { OpenLink } from './link.ts'
import { WebSocketLink } from './websocket-link.ts'

export const openLink: OpenLink = (door, options, handler) =>
  door === 'websocket' ? new WebSocketLink(options, handler) : new HttpLink(door, options, handler)
