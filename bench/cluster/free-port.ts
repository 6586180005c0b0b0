// Free ports for servers that are killed and restarted, below the ephemeral range. Otherwise a client that reconnects
// to a killed server could get the server's port as its own.
import { createServer } from 'node:net'

const given = new Set<number>()

/** A port that is free now, and that this process has not returned before. */
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
