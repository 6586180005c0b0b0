// Free ports for servers that are killed and come back: below the range from which connections take their own. While
// a server is dead, one of its clients that tries to come back could otherwise be given the server's port.
import { createServer } from 'node:net'

const given = new Set<number>()

/** Not given out before by this process, and nobody listens there now. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    return port
  }
}

export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}
