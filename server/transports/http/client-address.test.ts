// The client's address behind trusted and untrusted proxies.
import { describe, expect, it } from 'vitest'
import { addressKey, clientKey, isNetwork, trustedProxies } from './client-address.ts'

const v4 = (text: string) => Uint8Array.from(text.split('.'), Number)
const NOTHING = new Uint8Array()
const TRUSTED = trustedProxies(['10.0.0.0/8', '127.0.0.1', 'fd00::/8'])

function keyOf(remote: string, forwarded: string, proxied = NOTHING): string {
  return clientKey({ remote: v4(remote), proxied, forwarded }, TRUSTED)
}

describe('the client address', () => {
  it('is the socket’s remote address without trusted proxies', () => {
    expect(clientKey({ remote: v4('10.0.0.1'), proxied: v4('9.9.9.9'), forwarded: '8.8.8.8' }, undefined)).toBe(
      '10.0.0.1',
    )
  })

  it('ignores forwarding information from an untrusted address', () => {
    expect(keyOf('203.0.113.5', '8.8.8.8')).toBe('203.0.113.5')
    expect(keyOf('203.0.113.5', '', v4('8.8.8.8'))).toBe('203.0.113.5')
  })

  it('is the last address that is not a trusted proxy, whatever precedes it', () => {
    expect(keyOf('10.0.0.1', '8.8.8.8')).toBe('8.8.8.8')
    expect(keyOf('10.0.0.1', '1.1.1.1, 8.8.8.8, 10.2.3.4')).toBe('8.8.8.8')
    expect(keyOf('10.0.0.1', '10.9.9.9, 10.2.3.4')).toBe('10.9.9.9')
    expect(keyOf('10.0.0.1', '8.8.8.8:4711,127.0.0.1')).toBe('8.8.8.8')
  })

  it('is the proxy’s address if its forwarding information is missing or invalid', () => {
    expect(keyOf('10.0.0.1', '')).toBe('10.0.0.1')
    expect(keyOf('10.0.0.1', 'unknown')).toBe('10.0.0.1')
    expect(keyOf('10.0.0.1', '8.8.8.8, _hidden, 10.2.3.4')).toBe('10.2.3.4')
    expect(keyOf('10.0.0.1', `${'8.8.8.8,'.repeat(5_000)}10.0.0.2`)).toBe('8.8.8.8')
  })

  it('is the address from the PROXY protocol, and continues with the header from there', () => {
    expect(keyOf('10.0.0.1', '', v4('8.8.8.8'))).toBe('8.8.8.8')
    expect(keyOf('10.0.0.1', '1.1.1.1', v4('8.8.8.8'))).toBe('8.8.8.8')
    expect(keyOf('10.0.0.1', '1.1.1.1', v4('10.0.0.7'))).toBe('1.1.1.1')
  })

  it('is the /64 network for IPv6, and the IPv4 address in every notation', () => {
    const bytes = Uint8Array.from([0x20, 1, 0xd, 0xb8, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9])
    expect(keyOf('10.0.0.1', '2001:db8:1:2::9')).toBe(addressKey(bytes))
    expect(keyOf('10.0.0.1', '[2001:db8:1:2:3::1]:443')).toBe(addressKey(bytes))
    expect(keyOf('10.0.0.1', '::ffff:8.8.8.8')).toBe('8.8.8.8')
    expect(keyOf('10.0.0.1', '2001:db8:1:2::9, fd00::1')).toBe(addressKey(bytes))
  })
})

it('distinguishes networks from other text', () => {
  for (const text of ['10.0.0.0/8', '1.2.3.4', '::1', 'fd00::/8', '0.0.0.0/0']) expect(isNetwork(text)).toBe(true)
  for (const text of ['', '10.0.0.0/33', '10.0.0', '::1/129', 'example.com', '10.0.0.0/8/8', '1.2.3.4/-1']) {
    expect(isNetwork(text)).toBe(false)
  }
})
