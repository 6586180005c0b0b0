// relayResponse: sends the frames of a stream as the body of a node's response. Each delivery is one chunk of HTTP and one system call:
// Node's own `ServerResponse.write` takes several pieces for each chunk, which cost more than the rest of the relay.
import type { ServerResponse } from 'node:http'
import type { RelayReader, RelaySink, RelayStream } from './relay-stream.ts'

/** Up to this many bytes are copied into one buffer. */
const JOINED_BYTES = 16 * 1024
const CRLF = Buffer.from('\r\n')

/** Reads the stream from an offset for a driver of a run. */
export function relayResponse(stream: RelayStream, response: ServerResponse, offset: number, attempt: number): void {
  const { socket } = response
  // The node is gone.
  if (socket === null || response.destroyed) return stream.read(NOBODY, offset, attempt).close()
  response.writeHead(200, {
    'Content-Type': 'application/octet-stream',
    'Cache-Control': 'no-store',
    'Transfer-Encoding': 'chunked',
  })
  response.flushHeaders()
  let reader: RelayReader | undefined
  const write = (parts: readonly Buffer[]): boolean => {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0)
    const size = `${bytes.toString(16)}\r\n`
    if (bytes <= JOINED_BYTES) return socket.write(joined(size, bytes, parts))
    socket.cork()
    socket.write(size, 'latin1')
    for (const part of parts) socket.write(part)
    const accepts = socket.write(CRLF)
    socket.uncork()
    return accepts
  }
  const sink: RelaySink = {
    write,
    end(parts) {
      socket.cork()
      if (parts.length > 0) write(parts)
      response.end()
      socket.uncork()
    },
  }
  const drained = (): void => reader?.drained()
  socket.on('drain', drained)
  response.on('close', () => {
    socket.off('drain', drained)
    reader?.close()
  })
  reader = stream.read(sink, offset, attempt)
}

const NOBODY: RelaySink = { write: () => true, end: () => undefined }

/** One chunk (RFC 9112, section 7.1). */
function joined(size: string, bytes: number, parts: readonly Buffer[]): Buffer {
  const chunk = Buffer.allocUnsafe(size.length + bytes + CRLF.length)
  let at = chunk.write(size, 'latin1')
  for (const part of parts) at += part.copy(chunk, at)
  CRLF.copy(chunk, at)
  return chunk
}
