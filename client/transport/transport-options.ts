// What all links of one client have in common, from its options.
import { makeId } from '@parley/protocol/make-id'
import { DEFAULT_RECONNECT } from '../backoff.ts'
import { ClientId } from '../client-id.ts'
import { type ClientOptions, httpUrl, SYSTEM_CLOCK } from '../client-options.ts'
import type { DoorStorage } from './door.ts'
import { DEFAULT_DOORS } from './door.ts'
import type { TransportOptions } from './transport.ts'

/** @throws TypeError for a URL that is none */
export function linkOptions(options: ClientOptions, storage: DoorStorage | undefined): TransportOptions {
  const { url, token, codec = 'json' } = options
  const id = new ClientId(storage, httpUrl(url))
  return {
    url,
    codec,
    token: async () => (typeof token === 'function' ? token() : token),
    WebSocket: options.WebSocket,
    fetch: options.fetch ?? ((...request) => globalThis.fetch(...request)),
    clock: options.clock ?? SYSTEM_CLOCK,
    logger: options.logger,
    reconnect: { ...DEFAULT_RECONNECT, ...options.reconnect },
    doors: { ...DEFAULT_DOORS, ...options.doors },
    connection: makeId('con'),
    client: () => id.value,
  }
}
