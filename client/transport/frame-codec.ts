// Frame codecs of the client: JSON is built in, MessagePack loads on demand. Frames from the server are checked only as
// far as dispatching needs: a `type`, and the strings `session` and `cursor` of an entry.
import type { ClientFrame, CodecName, ServerFrame } from '@parley/protocol'

/** Frames from the server nest deeper than those from a client: a tool's result is inside an event, frame and array. */
const MAX_DEPTH = 512

export interface FrameCodec {
  encode(frame: ClientFrame): string | Uint8Array<ArrayBuffer>
  /** @throws SyntaxError for a message that is not in this codec or contains no frames */
  decode(data: unknown): readonly ServerFrame[]
}

export async function loadCodec(name: CodecName): Promise<FrameCodec> {
  if (name === 'json') return json
  const { msgpackCodec } = await import('@parley/protocol/codec')
  return {
    encode: (frame) => msgpackCodec.encode(frame) as Uint8Array<ArrayBuffer>,
    decode(data) {
      if (!(data instanceof ArrayBuffer || data instanceof Uint8Array)) throw new SyntaxError('not MessagePack')
      return frames(msgpackCodec.decode(data, { maxDepth: MAX_DEPTH }))
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
  return hasFields(value, { type: 'string' }) && (value.type !== 'entry' || hasFields(value, ENTRY_FIELDS))
}

export const ENTRY_FIELDS = { session: 'string', cursor: 'string', event: 'object' } as const

/** Whether a value from outside is an object with fields of these types. null has none. */
export function hasFields(
  value: unknown,
  types: Readonly<Record<string, 'string' | 'number' | 'boolean' | 'object'>>,
): value is Record<string, unknown> {
  const fields = (value ?? {}) as Record<string, unknown>
  return Object.entries(types).every(([name, type]) => typeof fields[name] === type && fields[name] !== null)
}
