// Frame codecs of the client: JSON is at hand, MessagePack is loaded when it is asked for. A frame from the server
// is checked only for what the dispatch needs: a `type`, and a text `session` and `cursor` where there are any.
import type { ClientFrame, CodecName, ServerFrame } from '@parley/protocol'

/** A server may nest deeper than a client: what a tool gave lies inside an event, a frame and an array. */
const MAX_DEPTH = 512

export interface FrameCodec {
  encode(frame: ClientFrame): string | Uint8Array<ArrayBuffer>
  /** @throws SyntaxError when the message is not in this codec or holds no frames */
  decode(data: unknown): readonly ServerFrame[]
}

export async function loadCodec(name: CodecName): Promise<FrameCodec> {
  if (name === 'json') return json
  const { msgpackCodec } = await import('@parley/protocol/codec')
  return {
    encode: (frame) => msgpackCodec.encode(frame) as Uint8Array<ArrayBuffer>,
    decode(data) {
      if (!(data instanceof ArrayBuffer || data instanceof Uint8Array)) throw new SyntaxError('not MessagePack')
      return frames(msgpackCodec.decode(data, MAX_DEPTH))
    },
  }
}

const json: FrameCodec = {
  encode: (frame) => JSON.stringify(frame),
  decode(data) {
    if (typeof data !== 'string') throw new SyntaxError('not JSON')
    return frames(JSON.parse(data))
  },
}

function frames(value: unknown): readonly ServerFrame[] {
  const list: unknown[] = Array.isArray(value) ? value : [value]
  for (const frame of list) {
    if (!isFrame(frame)) throw new SyntaxError('not a frame')
  }
  return list as ServerFrame[]
}

function isFrame(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('type' in value) || typeof value.type !== 'string') return false
  if (value.type !== 'entry') return true
  const { session, cursor, event } = value as Record<string, unknown>
  return typeof session === 'string' && typeof cursor === 'string' && typeof event === 'object' && event !== null
}
