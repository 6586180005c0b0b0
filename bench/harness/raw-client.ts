// RawClient: a minimal WebSocket client on a TCP socket, so that a load generator can run thousands of them. It answers
// pings and passes on the bytes of each message. For benchmarks on loopback only.
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'

const EMPTY = Buffer.alloc(0)

export class RawClient {
  readonly #socket: Socket
  readonly #onMessage: (payload: Buffer, client: RawClient) => void
  #buffered = EMPTY
  #closed = false

  private constructor(socket: Socket, onMessage: (payload: Buffer, client: RawClient) => void) {
    this.#socket = socket
    this.#onMessage = onMessage
  }

  /**
   * Resolves after the upgrade.
   * @param onMessage may be called before the promise resolves
   * @param onClose called once when the connection has ended after the upgrade, whichever side closed it
   * @param from the local address; one address has ports for about 28,000 connections to a server
   */
  static async open(
    port: number,
    path: string,
    onMessage: (payload: Buffer, client: RawClient) => void,
    onClose: () => void = () => undefined,
    from?: string,
  ): Promise<RawClient> {
    const own = from === undefined ? {} : { localAddress: from }
    const socket = connect({ port, host: '127.0.0.1', ...own, noDelay: true })
    const client = new RawClient(socket, onMessage)
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.once('close', () => reject(new Error('closed during the upgrade')))
      socket.once('connect', () => {
        const key = randomBytes(16).toString('base64')
        socket.write(
          `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
            `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: parley.v1.json\r\n\r\n`,
        )
      })
      let head = EMPTY
      const onHead = (chunk: Buffer): void => {
        head = Buffer.concat([head, chunk])
        const end = head.indexOf('\r\n\r\n')
        if (end < 0) return
        socket.off('data', onHead)
        if (!head.toString('latin1', 0, 12).endsWith('101')) {
          reject(new Error(`upgrade refused: ${head.toString('latin1', 0, 40)}`))
          return
        }
        socket.on('data', (data: Buffer) => client.#read(data))
        socket.once('close', onClose)
        const rest = head.subarray(end + 4)
        resolve()
        if (rest.length > 0) client.#read(rest)
      }
      socket.on('data', onHead)
    })
    socket.on('error', () => client.close())
    return client
  }

  send(frame: unknown): void {
    this.sendText(JSON.stringify(frame))
  }

  /** @param text at most 64 kB */
  sendText(text: string): void {
    const payload = Buffer.from(text)
    const mask = randomBytes(4)
    const head =
      payload.length < 126
        ? Buffer.from([0x81, 0x80 | payload.length])
        : Buffer.from([0x81, 0x80 | 126, payload.length >> 8, payload.length & 255])
    for (let at = 0; at < payload.length; at += 1) payload[at] = (payload[at] as number) ^ (mask[at & 3] as number)
    this.#socket.write(Buffer.concat([head, mask, payload]))
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    const data = this.#buffered.length === 0 ? chunk : Buffer.concat([this.#buffered, chunk])
    let at = 0
    for (;;) {
      if (data.length - at < 2) break
      const opcode = (data[at] as number) & 15
      let length = (data[at + 1] as number) & 127
      let head = 2
      if (length === 126) {
        if (data.length - at < 4) break
        length = data.readUInt16BE(at + 2)
        head = 4
      } else if (length === 127) {
        if (data.length - at < 10) break
        length = Number(data.readBigUInt64BE(at + 2))
        head = 10
      }
      if (data.length - at < head + length) break
      const payload = data.subarray(at + head, at + head + length)
      at += head + length
      if (opcode === 1 || opcode === 2) this.#onMessage(payload, this)
      else if (opcode === 9) this.#socket.write(Buffer.from([0x8a, 0x80, 0, 0, 0, 0]))
      else if (opcode === 8) this.close()
    }
    this.#buffered = at === data.length ? EMPTY : Buffer.from(data.subarray(at))
  }
}
