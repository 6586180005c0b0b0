// The proxy is a network: fair by default, cut, silent or slow when told, and whole again when healed.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { TcpProxy } from './tcp-proxy.ts'

let echo: Server
let proxy: TcpProxy
let sockets: Socket[]

beforeEach(async () => {
  sockets = []
  // Each end closes for itself: half-closed connections are a network's business, too.
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

/** Unlike `once`, whether or not there is an error first. */
async function closing(socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => socket.once('close', () => resolve()))
}

/** Resolves when so many bytes have come back. */
async function comesBack(socket: Socket, bytes: number): Promise<Buffer> {
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
  it('carries every byte both ways, in order, and the end of the stream', async () => {
    const socket = await dial()
    const sent = Buffer.alloc(3_000_000, 'abcdefghijklmno')
    const back = comesBack(socket, sent.length)
    const ended = once(socket, 'end')
    socket.end(sent)
    expect((await back).equals(sent)).toBe(true)
    await ended
  })

  it('that is cut breaks connections and refuses new ones until it is healed', async () => {
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
    const back = comesBack(again, 5)
    again.write('hello')
    expect(String(await back)).toBe('hello')
  })

  it('that is silent keeps connections, lets nothing through, and delivers it all once healed', async () => {
    const socket = await dial()
    const first = comesBack(socket, 3)
    socket.write('one')
    await first
    proxy.change({ kind: 'silent' })
    const late = await dial()
    let heard = 0
    for (const one of [socket, late]) one.on('data', (chunk: Buffer) => (heard += chunk.length))
    const [rest, hello] = [comesBack(socket, 6), comesBack(late, 5)]
    socket.write('twosix')
    late.write('hello')
    // A round trip through another network shows that there was time enough.
    const other = await TcpProxy.open((echo.address() as AddressInfo).port)
    const witness = connect({ port: other.port, host: '127.0.0.1' })
    sockets.push(witness)
    witness.write('x')
    await comesBack(witness, 1)
    expect(heard).toBe(0)
    expect(proxy.connections).toBe(2)
    proxy.heal()
    expect([String(await rest), String(await hello)]).toEqual(['twosix', 'hello'])
    await other.close()
  })

  it('that is slow delays both ways and keeps the order when it gets faster', async () => {
    const socket = await dial()
    proxy.change({ kind: 'slow', ms: 60 })
    const began = performance.now()
    const back = comesBack(socket, 1)
    socket.write('a')
    await back
    expect(performance.now() - began).toBeGreaterThan(110)
    const all = comesBack(socket, 3)
    socket.write('b')
    await new Promise((resolve) => setImmediate(resolve))
    proxy.heal()
    socket.write('cd')
    expect(String(await all)).toBe('bcd')
  })

  it('ends one side when the other ends', async () => {
    const socket = await dial()
    const back = comesBack(socket, 1)
    socket.write('x')
    await back
    const closed = closing(socket)
    sockets.find((other) => other !== socket)?.resetAndDestroy()
    await closed
    expect(proxy.connections).toBe(0)
  })
})
