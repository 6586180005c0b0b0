// Listening: on one address and port, for oneself or with other nodes. What stands in the way is told in words.

import type { TemplatedApp, us_listen_socket } from 'uWebSockets.js'
import { connect, createServer as createProbe } from 'node:net'

export class ListenError extends Error {
  override readonly name = 'ListenError'
}

/** Milliseconds to wait for an answer on a port that should be free. */
const PROBE_MS = 1_000
const FREE_PORT_TRIES = 5

/**
 * uWS shares a port with whoever else does, and would do so without a word. Its exclusive mode refuses a port on which
 * connections of a stopped process still linger; and so does its port 0, for the next process that asks for the port
 * it picked. So it is always given a port, after seeing that nobody answers there.
 * @param port 0: any that is free
 * @param shared others may listen there, too: the kernel gives each new connection to one of them
 * @throws ListenError
 */
export async function listen(app: TemplatedApp, host: string, port: number, shared = false): Promise<us_listen_socket> {
  if (port !== 0 && !shared && (await answers(host, port)))
    throw new ListenError(`PARLEY_PORT ${port} on ${host} is taken.`)
  for (let attempt = 1; ; attempt += 1) {
    const socket = await listenOn(app, host, port === 0 ? await freePort(host) : port)
    if (socket !== false) return socket
    // A free port may be taken by another before it is ours.
    if (port !== 0 || attempt === FREE_PORT_TRIES)
      throw new ListenError(`PARLEY_PORT ${port} on ${host} cannot be used.`)
  }
}

async function listenOn(app: TemplatedApp, host: string, port: number): Promise<us_listen_socket | false> {
  return new Promise((resolve) => {
    app.listen(host, port, resolve)
  })
}

async function freePort(host: string): Promise<number> {
  const probe = createProbe()
  return new Promise((resolve, reject) => {
    probe.once('error', (cause) => reject(new ListenError(`PARLEY_HOST ${host} cannot be listened on.`, { cause })))
    probe.listen(0, host, () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

async function answers(host: string, port: number): Promise<boolean> {
  const probe = connect({ host: reachable(host), port, timeout: PROBE_MS })
  return new Promise((resolve) => {
    const settle = (answered: boolean) => (): void => {
      probe.destroy()
      resolve(answered)
    }
    probe.once('connect', settle(true))
    probe.once('error', settle(false))
    probe.once('timeout', settle(false))
  })
}

/** Where this machine reaches what listens on a host. */
export function reachable(host: string): string {
  return host === '0.0.0.0' || host === '::' ? 'localhost' : host
}
