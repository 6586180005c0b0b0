// Subprotocols: select the codec of a WebSocket. It does not import the codecs, so that browsers can load it alone.

export type CodecName = 'json' | 'msgpack'

export const SUBPROTOCOLS = { json: 'parley.v1.json', msgpack: 'parley.v1.msgpack' } as const
/** Browsers cannot set headers on a WebSocket: they offer their access token as a subprotocol with this prefix. */
export const TOKEN_SUBPROTOCOL_PREFIX = 'parley.token.'

/** Bytes of one WebSocket message from a client; if exceeded: close 4413. It is here so that a page does not load all limits. */
export const FRAME_BYTES = 1024 * 1024
