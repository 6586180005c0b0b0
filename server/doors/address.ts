// Addresses: what is counted as one, from the bytes that the socket tells.

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
