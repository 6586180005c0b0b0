// The proxy passes all data by default, and can be cut, silent or slow until it is healed.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { TcpProxy } from './tcp-proxy.ts'

let echo: Server
let proxy: TcpProxy
let sockets: Socket[]

beforeEach(async () => {
  sockets = []
  // Both ends close separately, because the proxy must also pass half-closed connections.
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket)
    socket.on('error', () => socket.destroy())
    socket.pipe(socket)
  })
  echo.listen(0, '127.0.0.1')
  await once(echo, 'listening')
  proxy = await TcpProxy.open((echo.address() as AddressInfo).port)
})

afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  await proxy.close()
  echo.close()
})

async function dial(): Promise<Socket> {
  const socket = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true })
  sockets.push(socket)
  await once(socket, 'connect')
  socket.on('error', () => socket.destroy())
  return socket
}

/** Unlike `once`, does not reject on an error before `close`. */
async function closing(socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => socket.once('close', () => resolve()))
}

/** Resolves when this many bytes have been echoed. */
async function echoed(socket: Socket, bytes: number): Promise<Buffer> {
  let got = Buffer.alloc(0)
  return new Promise((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => {
      got = Buffer.concat([got, chunk])
      if (got.length >= bytes) resolve(got)
    })
    socket.once('close', () => reject(new Error(`closed after ${got.length} bytes`)))
  })
}

describe('a proxy', () => {
  it('passes every byte in both directions, in order, and the end of the stream', async () => {
    const socket = await dial()
    const sent = Buffer.alloc(3_000_000, 'abcdefghijklmno')
    const back = echoed(socket, sent.length)
    const ended = once(socket, 'end')
    socket.end(sent)
    expect((await back).equals(sent)).toBe(true)
    await ended
  })

  it('breaks connections and refuses new ones while it is cut', async () => {
    const socket = await dial()
    const closed = closing(socket)
    proxy.change({ kind: 'cut' })
    await closed
    expect(proxy.connections).toBe(0)
    const refused = connect({ port: proxy.port, host: '127.0.0.1' })
    refused.on('error', () => refused.destroy())
    await closing(refused)
    proxy.heal()
    const again = await dial()
    const back = echoed(again, 5)
    again.write('hello')
    expect(String(await back)).toBe('hello')
  })

  it('keeps connections and passes no data while it is silent, and delivers everything when healed', async () => {
    const socket = await dial()
    const first = echoed(socket, 3)
    socket.write('one')
    await first
    proxy.change({ kind: 'silent' })
    const late = await dial()
    let received = 0
    for (const one of [socket, late]) one.on('data', (chunk: Buffer) => (received += chunk.length))
    const [rest, hello] = [echoed(socket, 6), echoed(late, 5)]
    socket.write('twosix')
    late.write('hello')
    // A round trip through another proxy proves that enough time has passed.
    const other = await TcpProxy.open((echo.address() as AddressInfo).port)
    const witness = connect({ port: other.port, host: '127.0.0.1' })
    sockets.push(witness)
    witness.write('x')
    await echoed(witness, 1)
    expect(received).toBe(0)
    expect(proxy.connections).toBe(2)
    proxy.heal()
    expect([String(await rest), String(await hello)]).toEqual(['twosix', 'hello'])
    await other.close()
  })

  it('delays both directions while it is slow, and keeps the order when it gets faster', async () => {
    const socket = await dial()
    proxy.change({ kind: 'slow', ms: 60 })
    const began = performance.now()
    const back = echoed(socket, 1)
    socket.write('a')
    await back
    expect(performance.now() - began).toBeGreaterThan(110)
    const all = echoed(socket, 3)
    socket.write('b')
    await new Promise((resolve) => setImmediate(resolve))
    proxy.heal()
    socket.write('cd')
    expect(String(await all)).toBe('bcd')
  })

  it('ends one side when the other ends', async () => {
    const socket = await dial()
    const back = echoed(socket, 1)
    socket.write('x')
    await back
    const closed = closing(socket)
    sockets.find((other) => other !== socket)?.resetAndDestroy()
    await closed
    expect(proxy.connections).toBe(0)
  })
})
