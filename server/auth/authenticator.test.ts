// Tokens: who is let in, as whom, and who is not.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Authenticator, createAuthenticator } from './authenticator.ts'

const jwtSecret = 'a secret that is long enough for HS256'

async function signed(payload: JWTPayload, secret = jwtSecret, alg = 'HS256'): Promise<string> {
  return new SignJWT(payload).setProtectedHeader({ alg }).sign(new TextEncoder().encode(secret))
}

const now = () => Math.floor(Date.now() / 1000)

test('without a key everybody is anonymous, whatever they say', async () => {
  const { required, authenticate } = createAuthenticator({})
  expect(required).toBe(false)
  expect(await authenticate(undefined)).toEqual({ user: 'anonymous', role: 'owner' })
  expect(await authenticate('nonsense')).toEqual({ user: 'anonymous', role: 'owner' })
})

describe('with a secret', () => {
  const { required, authenticate } = createAuthenticator({ jwtSecret, issuer: 'us', audience: 'parley' })
  const good = { sub: 'ann', name: 'Ann', iss: 'us', aud: 'parley' }

  test('a signed token says who it is', async () => {
    expect(required).toBe(true)
    expect(await authenticate(await signed({ ...good, exp: now() + 60 }))).toEqual({
      user: 'ann',
      name: 'Ann',
      role: 'owner',
    })
  })

  const wrong: [string, () => string | undefined | Promise<string>][] = [
    ['none', () => undefined],
    ['an empty one', () => ''],
    ['nonsense', () => 'a.b.c'],
    ['one signed by another secret', () => signed(good, 'another secret of the same length')],
    ['one of another algorithm', () => signed(good, `${jwtSecret}${jwtSecret}`, 'HS512')],
    ['one without a signature', () => `${btoa('{"alg":"none"}')}.${btoa(JSON.stringify(good))}.`.replaceAll('=', '')],
    ['one that is over', () => signed({ ...good, exp: now() - 60 })],
    ['one that is not valid yet', () => signed({ ...good, nbf: now() + 60 })],
    ['one of another issuer', () => signed({ ...good, iss: 'them' })],
    ['one for another audience', () => signed({ ...good, aud: 'them' })],
    ['one that names nobody', () => signed({ iss: 'us', aud: 'parley' })],
    ['one that names somebody endless', () => signed({ ...good, sub: 'x'.repeat(257) })],
  ]
  for (const [what, token] of wrong) {
    test(`${what} is unauthenticated`, async () => {
      await expect(authenticate(await token())).rejects.toMatchObject({ name: 'ReplyError', code: 'unauthenticated' })
    })
  }

  test('clocks may differ by a few seconds', async () => {
    await authenticate(await signed({ ...good, exp: now() - 2 }))
    await authenticate(await signed({ ...good, nbf: now() + 2 }))
  })
})

describe('with published keys', () => {
  let server: Server
  let url: string
  let privateKey: CryptoKey
  let authenticator: Authenticator

  beforeAll(async () => {
    const pair = await generateKeyPair('ES256')
    privateKey = pair.privateKey
    const keys = [{ ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'ES256' }]
    server = createServer((_request, response) => response.end(JSON.stringify({ keys })))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
    authenticator = createAuthenticator({ jwksUrl: url })
  })

  afterAll(() => {
    server.close()
  })

  test('a token signed by one of them says who it is', async () => {
    const token = await new SignJWT({ sub: 'bob' }).setProtectedHeader({ alg: 'ES256', kid: 'k1' }).sign(privateKey)
    expect(await authenticator.authenticate(token)).toEqual({ user: 'bob', role: 'owner' })
  })

  test('a token with a secret’s signature is unauthenticated: what is published is no secret', async () => {
    await expect(authenticator.authenticate(await signed({ sub: 'bob' }))).rejects.toMatchObject({
      code: 'unauthenticated',
    })
  })

  test('a token of an unknown key is unauthenticated', async () => {
    const token = await new SignJWT({ sub: 'bob' }).setProtectedHeader({ alg: 'ES256', kid: 'k2' }).sign(privateKey)
    await expect(authenticator.authenticate(token)).rejects.toMatchObject({ code: 'unauthenticated' })
  })

  test('keys that cannot be fetched make it unavailable, not the token wrong', async () => {
    const away = createAuthenticator({ jwksUrl: 'http://127.0.0.1:1/keys' })
    const token = await new SignJWT({ sub: 'bob' }).setProtectedHeader({ alg: 'ES256', kid: 'k1' }).sign(privateKey)
    await expect(away.authenticate(token)).rejects.toMatchObject({ code: 'unavailable' })
  })
})
