// Client addresses: the address of a connection, and the key under which limits count it. Forwarding information counts
// only if it comes from a trusted proxy, because any client can write such a header.
import { BlockList, isIP, isIPv4 } from 'node:net'
import type { HttpResponse } from '../uws.ts'

/** Proxies whose forwarding information is trusted. */
export type TrustedProxies = Pick<BlockList, 'check'>

/** The address information of a connection. */
export interface PeerAddress {
  /** The socket's remote address. */
  readonly remote: Uint8Array
  /** From the PROXY protocol; empty without it. */
  readonly proxied: Uint8Array
  /** `X-Forwarded-For`: each proxy appends the address of its client. */
  readonly forwarded: string
}

/** Maximum number of hops that are read from `X-Forwarded-For`. */
const HOPS = 32

/** Must be called before the uWS handler returns. @param forwarded the request's `X-Forwarded-For` */
export function peerAddressOf(response: HttpResponse, forwarded: string): PeerAddress {
  return {
    remote: new Uint8Array(response.getRemoteAddress()),
    proxied: new Uint8Array(response.getProxiedRemoteAddress()),
    forwarded,
  }
}

/** The IPv4 address, also if it is mapped into IPv6; for IPv6 the /64 network, because one host controls all of it. */
export function addressKey(bytes: Uint8Array): string {
  const isMapped = bytes.length === 16 && bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255
  if (bytes.length === 4 || isMapped) return bytes.subarray(-4).join('.')
  return Buffer.from(bytes.subarray(0, 8)).toString('hex')
}

/** @param networks such as `10.0.0.0/8` or `::1` */
export function trustedProxies(networks: readonly string[]): TrustedProxies | undefined {
  if (networks.length === 0) return undefined
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    const family = isIPv4(address) ? 'ipv4' : 'ipv6'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return list
}

/** Whether the text is an address or a network in CIDR notation. */
export function isNetwork(text: string): boolean {
  const [, address = '', bits] = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const version = isIP(address)
  return version !== 0 && Number(bits ?? 0) <= (version === 4 ? 32 : 128)
}

/** The client's address: going back from this server, the first address that is not a trusted proxy. */
export function clientKey({ remote, proxied, forwarded }: PeerAddress, trusted: TrustedProxies | undefined): string {
  if (trusted === undefined || !isTrusted(remote, trusted)) return addressKey(remote)
  let client = remote
  if (proxied.length === 4 || proxied.length === 16) {
    client = proxied
    if (!isTrusted(client, trusted)) return addressKey(client)
  }
  if (forwarded === '') return addressKey(client)
  for (const hop of forwarded.split(',').slice(-HOPS).reverse()) {
    const bytes = bytesOf(hop.trim())
    // An invalid address ends the chain; the last valid address is the best information.
    if (bytes === undefined) break
    client = bytes
    if (!isTrusted(client, trusted)) break
  }
  return addressKey(client)
}

function isTrusted(bytes: Uint8Array, trusted: TrustedProxies): boolean {
  const key = addressKey(bytes)
  return isIPv4(key) ? trusted.check(key, 'ipv4') : trusted.check(textOf(bytes), 'ipv6')
}

function textOf(bytes: Uint8Array): string {
  return Array.from({ length: 8 }, (_, i) => (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16)).join(
    ':',
  )
}

/** Also accepts a port, which some proxies append. */
function bytesOf(text: string): Uint8Array | undefined {
  const [, bracketed, v4] = /^\[([^\]]+)\](?::\d+)?$|^(\d+\.\d+\.\d+\.\d+)(?::\d+)?$/.exec(text) ?? []
  const address = bracketed ?? v4 ?? text
  const version = isIP(address)
  if (version === 4) return Uint8Array.from(address.split('.'), Number)
  return version === 6 ? bytesOfV6(address) : undefined
}

function bytesOfV6(address: string): Uint8Array | undefined {
  // URL normalizes the address to hexadecimal groups; the compressed zeros are filled in again.
  const url = `http://[${address}]/`
  if (!URL.canParse(url)) return undefined
  const [head = '', tail] = new URL(url).hostname.slice(1, -1).split('::')
  const [before, after] = [groups(head), groups(tail ?? '')]
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0)
  return Uint8Array.from([...before, ...zeros, ...after].flatMap((group) => [group >> 8, group & 255]))
}

function groups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
}
