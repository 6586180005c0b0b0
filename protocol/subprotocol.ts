// Subprotocols of the WebSocket: they name the codec. Free of the codecs, so that browsers can have it alone.

export type CodecName = 'json' | 'msgpack'

export const SUBPROTOCOLS = { json: 'parley.v1.json', msgpack: 'parley.v1.msgpack' } as const
/** A browser cannot set headers on a WebSocket: it offers its token as a subprotocol with this prefix. */
export const TOKEN_SUBPROTOCOL_PREFIX = 'parley.token.'
