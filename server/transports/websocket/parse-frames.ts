// Parses a WebSocket message into client frames. A message that cannot be decoded ends the connection. An invalid frame gets
// an error reply and does not affect the other frames.
import {
  CLIENT_FRAME_TYPES,
  ClientFrame,
  type Codec,
  cutText,
  Disconnect,
  ID_MAX_LENGTH,
  Id,
  LIMITS,
  ReplyError,
  safeParseExact,
  TooManyValuesError,
  wellFormed,
} from '@parley/protocol'

export type ParsedFrame =
  | { readonly frame: ClientFrame; readonly error?: never }
  /** `id`: the command's id, if it is valid. */
  | { readonly error: ReplyError; readonly id: string | undefined }

const TYPES: ReadonlySet<string> = new Set(CLIENT_FRAME_TYPES)

/**
 * @param data valid only during this call, because uWS reuses its buffer
 * @throws Disconnect
 */
export function parseMessage(codec: Codec, data: ArrayBuffer, binary: boolean): readonly ParsedFrame[] {
  if (data.byteLength > LIMITS.frameBytes) throw new Disconnect('frameTooLarge', `at most ${LIMITS.frameBytes} bytes`)
  if (binary !== codec.binary) throw new Disconnect('badFrame', codec.binary ? 'not binary' : 'not text')
  const value = decode(codec, data)
  if (!Array.isArray(value)) return [parseFrame(value)]
  if (value.length === 0 || value.length > LIMITS.batchFrames) {
    const message = `A message must contain 1 to ${LIMITS.batchFrames} frames.`
    return [{ error: new ReplyError('invalid_frame', message), id: undefined }]
  }
  return value.map(parseFrame)
}

function decode(codec: Codec, data: ArrayBuffer): unknown {
  try {
    // uWS has verified that text is UTF-8. Both decoders return copies.
    return codec.decode(codec.binary ? data : Buffer.from(data).toString('utf8'), {
      maxValues: LIMITS.values,
      exact: true,
    })
  } catch (cause) {
    if (cause instanceof TooManyValuesError) {
      throw new Disconnect('frameTooLarge', `at most ${LIMITS.values} keys and values`)
    }
    if (!(cause instanceof SyntaxError)) throw cause
    throw new Disconnect('badFrame', codec.binary ? 'not MessagePack' : 'not JSON')
  }
}

function parseFrame(value: unknown): ParsedFrame {
  if (typeof value !== 'object' || value === null) {
    return { error: new ReplyError('invalid_frame', 'A frame must be an object.'), id: undefined }
  }
  const { type, id } = value as { readonly type?: unknown; readonly id?: unknown }
  const properId = typeof id === 'string' && id.length <= ID_MAX_LENGTH && Id.safeParse(id).success ? id : undefined
  if (typeof type === 'string' && !TYPES.has(type)) return { error: new ReplyError('unknown_type'), id: properId }
  const parsed = safeParseExact(ClientFrame, value)
  if (parsed.success) return { frame: wellFormed(parsed.data) }
  const [issue] = parsed.error.issues
  const where = issue === undefined || issue.path.length === 0 ? 'frame' : issue.path.join('.')
  const message = cutText(`${where}: ${issue?.message ?? 'does not match the schema of its type'}`, 200)
  return { error: new ReplyError('invalid_frame', message), id: properId }
}
