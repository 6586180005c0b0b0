// Listens on an address and port, alone or shared with other processes. Errors name the setting to change.

import { connect, createServer as createProbe } from 'node:net'
import type { TemplatedApp, us_listen_socket } from '../uws.ts'

export class ListenError extends Error {
  override readonly name = 'ListenError'
}

/** Connect timeout in milliseconds of the check that a port is free. */
const PROBE_MS = 1_000
const FREE_PORT_TRIES = 5

/**
 * By default, uWS silently shares a port with other processes. Its exclusive mode rejects a port while connections of a
 * stopped process linger, and so does its port 0 for the next process that asks for the picked port. So uWS always
 * gets a concrete port in shared mode, after a connection attempt has shown that nothing listens there.
 * @param port 0 picks a free port
 * @param shared several processes may listen: the kernel gives each new connection to one of them
 * @throws ListenError
 */
export async function listen(app: TemplatedApp, host: string, port: number, shared = false): Promise<us_listen_socket> {
  if (port !== 0 && !shared && (await accepts(host, port)))
    throw new ListenError(`PARLEY_PORT ${port} on ${host} is already in use.`)
  for (let attempt = 1; ; attempt += 1) {
    const socket = await listenOn(app, host, port === 0 ? await freePort(host) : port)
    if (socket !== false) return socket
    // Another process may have taken the free port meanwhile.
    if (port !== 0 || attempt === FREE_PORT_TRIES)
      throw new ListenError(`Cannot listen on PARLEY_PORT ${port} on ${host}.`)
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
    probe.once('error', (cause) => reject(new ListenError(`Cannot listen on PARLEY_HOST ${host}.`, { cause })))
    probe.listen(0, host, () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

async function accepts(host: string, port: number): Promise<boolean> {
  const probe = connect({ host: reachable(host), port, timeout: PROBE_MS })
  return new Promise((resolve) => {
    const settle = (accepted: boolean) => (): void => {
      probe.destroy()
      resolve(accepted)
    }
    probe.once('connect', settle(true))
    probe.once('error', settle(false))
    probe.once('timeout', settle(false))
  })
}

/** The host name under which this machine reaches a server that listens on `host`. */
export function reachable(host: string): string {
  return host === '0.0.0.0' || host === '::' ? 'localhost' : host
}
