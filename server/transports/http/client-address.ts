// Addresses: whose a connection is, and what is counted as one. What a proxy says of where it comes from counts only when the
// proxy is one of ours: anybody can write such a header.
import { BlockList, isIP, isIPv4 } from 'node:net'

/** Who may say for whom they speak. */
export type TrustedProxies = Pick<BlockList, 'check'>

/** What a connection tells of where it comes from, as it reached us. */
export interface PeerAddress {
  /** The socket's other end. */
  readonly remote: Uint8Array
  /** By the PROXY protocol; of no bytes where nothing was said. */
  readonly proxied: Uint8Array
  /** `X-Forwarded-For`: each proxy adds whom it speaks for at the end. */
  readonly forwarded: string
}

/** Hops that are looked at. */
const HOPS = 32

/** An IPv4 address, also when mapped into IPv6; or the /64 network that a host of IPv6 has for itself. */
export function addressKey(bytes: Uint8Array): string {
  const isMapped = bytes.length === 16 && bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255
  if (bytes.length === 4 || isMapped) return bytes.subarray(-4).join('.')
  return Buffer.from(bytes.subarray(0, 8)).toString('hex')
}

/** Whether it is this machine's own. */
export function isLoopbackAddress(bytes: Uint8Array): boolean {
  if (bytes.length === 16 && bytes.every((byte, index) => byte === (index === 15 ? 1 : 0))) return true
  return /^127\./.test(addressKey(bytes))
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

/** Whether it is an address, or a network of addresses. */
export function isNetwork(text: string): boolean {
  const [, address = '', bits] = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const version = isIP(address)
  return version !== 0 && Number(bits ?? 0) <= (version === 4 ? 32 : 128)
}

/** The address that counts: going back from us, the first that is no proxy of ours. */
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
    // What is no address was written by nobody whom we trust to know: the last one that was is the best there is.
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

/** Also with a port, as some proxies write it. */
function bytesOf(text: string): Uint8Array | undefined {
  const [, bracketed, v4] = /^\[([^\]]+)\](?::\d+)?$|^(\d+\.\d+\.\d+\.\d+)(?::\d+)?$/.exec(text) ?? []
  const address = bracketed ?? v4 ?? text
  const version = isIP(address)
  if (version === 4) return Uint8Array.from(address.split('.'), Number)
  return version === 6 ? bytesOfV6(address) : undefined
}

function bytesOfV6(address: string): Uint8Array | undefined {
  // The longest form of it that there is, without dots: what URL makes of it, with the zeros put back.
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
