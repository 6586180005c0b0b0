// A network between a client and a server that can be cut, for the examples: it forwards bytes until then.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface FlakyNetwork {
  /** The server's URL through this network. */
  readonly url: string
  /** Ends all connections at once, without a word. New ones work again. */
  cut(): void
  close(): void
}

export async function flakyNetwork(to: string): Promise<FlakyNetwork> {
  const { hostname, port } = new URL(to)
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(Number(port), hostname)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      // The other end went; `close` follows.
      socket.on('error', () => socket.destroy())
    }
    near.pipe(far).pipe(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    close: () => {
      server.close()
      cut()
    },
  }
}
