// RawStream: a minimal client for chunked HTTP streams on a TCP socket, so that a load generator can run thousands of
// them. For benchmarks on loopback, and ASCII streams.
import { connect } from 'node:net'

const EMPTY = Buffer.alloc(0)
const END_OF_HEAD = '\r\n\r\n'

export class RawStream {
  readonly #close: () => void

  private constructor(close: () => void) {
    this.#close = close
  }

  /**
   * Resolves when the headers have arrived.
   * @param onPiece called with each chunk of the body
   * @param onCharacters called with the length of each chunk
   */
  static async open(
    port: number,
    path: string,
    onPiece: (piece: Buffer) => void,
    onCharacters: (count: number) => void,
  ): Promise<RawStream> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    let inBody = false
    let buffered: Buffer = EMPTY
    socket.once('connect', () => socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`))
    await new Promise<void>((resolve, reject) => {
      socket.on('data', (data: Buffer) => {
        buffered = buffered.length === 0 ? data : Buffer.concat([buffered, data])
        if (!inBody) {
          const end = buffered.indexOf(END_OF_HEAD)
          if (end < 0) return
          if (!buffered.toString('latin1', 0, 12).endsWith('200')) reject(new Error('the stream was refused'))
          inBody = true
          buffered = buffered.subarray(end + END_OF_HEAD.length)
          resolve()
        }
        buffered = Buffer.from(eachChunk(buffered, onPiece, onCharacters))
      })
      socket.on('error', reject)
      socket.on('close', () => reject(new Error('closed before the stream began')))
    })
    return new RawStream(() => socket.destroy())
  }

  close(): void {
    this.#close()
  }
}

/** @returns the incomplete rest */
function eachChunk(data: Buffer, onPiece: (piece: Buffer) => void, onCharacters: (count: number) => void): Buffer {
  let at = 0
  for (;;) {
    const line = data.indexOf('\r\n', at)
    if (line < 0) return data.subarray(at)
    const length = Number.parseInt(data.toString('latin1', at, line), 16)
    const begin = line + 2
    if (data.length < begin + length + 2) return data.subarray(at)
    if (length > 0) {
      onCharacters(length)
      onPiece(data.subarray(begin, begin + length))
    }
    at = begin + length + 2
  }
}
