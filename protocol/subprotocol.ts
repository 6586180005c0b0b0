// Subprotocols: select the codec of a WebSocket. It does not import the codecs, so that browsers can load it alone.

export type CodecName = 'json' | 'msgpack'

export const SUBPROTOCOLS = { json: 'parley.v1.json', msgpack: 'parley.v1.msgpack' } as const
/** Browsers cannot set headers on a WebSocket: they offer their access token as a subprotocol with this prefix. */
export const TOKEN_SUBPROTOCOL_PREFIX = 'parley.token.'
