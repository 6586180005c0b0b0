// ListenAddress: an address and a port in one setting, such as `127.0.0.1:9464` or `[::1]:9464`. Pure.

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

const LISTEN_ADDRESS = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/
const PORT_MAX = 65_535

/** @returns undefined if it is malformed */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const [, v6, name, port] = LISTEN_ADDRESS.exec(text) ?? []
  const host = v6 ?? name
  return host === undefined || Number(port) > PORT_MAX ? undefined : { host, port: Number(port) }
}
