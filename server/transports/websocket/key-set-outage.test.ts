// While the key set cannot be fetched, clients receive a retryable error, over both transports. Before, a good token got a final 401
// or close 4401, and everybody was signed out.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { TransportHarness } from '../test/transport-harness.ts'

test('a token that cannot be verified means 503 and close 4500', async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const keys = [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' }]
  let isUp = true
  const server = createServer((_, response) => response.writeHead(isUp ? 200 : 500).end(JSON.stringify({ keys })))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
  const harness = await TransportHarness.open({ auth: { jwksUrl, jwksCooldownMs: 0, clockSkew: 0 } })
  try {
    const sign = (kid: string, seconds: number) =>
      new SignJWT({ sub: 'ann' })
        .setProtectedHeader({ alg: 'ES256', kid })
        .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
        .sign(privateKey)
    const open = await harness.connect()
    open.send({ type: 'hello', token: await sign('k1', 2) })
    await open.next('welcome')
    isUp = false
    // The provider has rotated its keys, and the new one cannot be fetched.
    const token = await sign('k2', 60)
    open.send({ type: 'token', id: 't', token })
    expect(await open.next('error', 't')).toMatchObject({ code: 'unavailable', retryable: true })
    const fresh = await harness.connect()
    fresh.send({ type: 'hello', token })
    expect(await fresh.closed).toEqual({
      code: 4500,
      reason: 'internal error: the access token cannot be verified at the moment',
    })
    const answer = await harness.fetch('/v1/sessions', { headers: { Authorization: `Bearer ${token}` } })
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(await answer.json()).toMatchObject({ code: 'unavailable', retryable: true })
    expect(await open.closed).toEqual({ code: 4500, reason: 'internal error: the access token has expired' })
  } finally {
    await harness.close()
    server.close()
  }
})
