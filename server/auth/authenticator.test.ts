// Which access tokens are valid, and for which user.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'
import type { Logger } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Authenticator, createAuthenticator } from './authenticator.ts'
import { secretsIn } from './secret-file.ts'

const jwtSecret = 'a secret that is long enough for HS256'

async function signed(payload: JWTPayload, secret = jwtSecret, alg = 'HS256'): Promise<string> {
  return new SignJWT(payload).setProtectedHeader({ alg }).sign(new TextEncoder().encode(secret))
}

const now = () => Math.floor(Date.now() / 1000)

test('without a key, every client is anonymous, with any token', async () => {
  const { required, authenticate } = createAuthenticator({})
  expect(required).toBe(false)
  expect(await authenticate(undefined)).toEqual({ user: 'anonymous', role: 'owner' })
  expect(await authenticate('nonsense')).toEqual({ user: 'anonymous', role: 'owner' })
})

describe('with a secret', () => {
  const { required, authenticate } = createAuthenticator({ jwtSecret, issuer: 'us', audience: 'parley' })
  const good = { sub: 'ann', name: 'Ann', iss: 'us', aud: 'parley' }

  test('a signed token identifies its user', async () => {
    expect(required).toBe(true)
    const exp = now() + 60
    expect(await authenticate(await signed({ ...good, exp }))).toEqual({
      user: 'ann',
      name: 'Ann',
      role: 'owner',
      // Clocks may differ by five seconds.
      until: (exp + 5) * 1000,
    })
  })

  const wrong: [string, () => string | undefined | Promise<string>][] = [
    ['no token', () => undefined],
    ['an empty token', () => ''],
    ['nonsense', () => 'a.b.c'],
    ['a token signed with another secret', () => signed(good, 'another secret of the same length')],
    ['a token with another algorithm', () => signed(good, `${jwtSecret}${jwtSecret}`, 'HS512')],
    [
      'a token without a signature',
      () => `${btoa('{"alg":"none"}')}.${btoa(JSON.stringify(good))}.`.replaceAll('=', ''),
    ],
    ['an expired token', () => signed({ ...good, exp: now() - 60 })],
    ['a token that is not valid yet', () => signed({ ...good, nbf: now() + 60 })],
    ['a token whose expiry is no safe integer in milliseconds', () => signed({ ...good, exp: 2 ** 53 })],
    ['a token of another issuer', () => signed({ ...good, iss: 'them' })],
    ['a token for another audience', () => signed({ ...good, aud: 'them' })],
    ['a token without a user', () => signed({ iss: 'us', aud: 'parley' })],
    ['a token with a user id that is too long', () => signed({ ...good, sub: 'x'.repeat(257) })],
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

test('a short secret is refused', () => {
  expect(() => createAuthenticator({ jwtSecret: 'x'.repeat(31) })).toThrow(
    'jwtSecret must be text of at least 32 bytes. To create one, run: openssl rand -hex 32',
  )
})

test('other claims and another clock tolerance can be configured', async () => {
  const config = { jwtSecret, userClaim: 'email', nameClaim: 'nick', clockSkew: 120 }
  const { authenticate } = createAuthenticator(config)
  const exp = now() - 60
  const identity = await authenticate(await signed({ sub: 'x', email: 'ann@a.example', nick: 'Ann', exp }))
  expect(identity).toEqual({ user: 'ann@a.example', name: 'Ann', role: 'owner', until: (exp + 120) * 1000 })
  await expect(authenticate(await signed({ sub: 'x' }))).rejects.toMatchObject({ code: 'unauthenticated' })
})

test('a token may limit its role, and an unknown role makes it invalid', async () => {
  const { authenticate } = createAuthenticator({ jwtSecret })
  expect(await authenticate(await signed({ sub: 'ann', parley_role: 'viewer' }))).toMatchObject({ role: 'viewer' })
  // Identity providers use `role` for something else.
  expect(await authenticate(await signed({ sub: 'ann', role: 'authenticated' }))).toMatchObject({ role: 'owner' })
  const other = createAuthenticator({ jwtSecret, roleClaim: 'role' })
  for (const role of ['authenticated', '', null, ['viewer']]) {
    await expect(other.authenticate(await signed({ sub: 'ann', role }))).rejects.toMatchObject({
      code: 'unauthenticated',
    })
  }
})

describe('with a file of secrets', () => {
  const folder = mkdtempSync(join(tmpdir(), 'parley-auth-'))
  const file = join(folder, 'secrets')
  const older = 'the older secret, long enough for it'
  const newer = 'the newer secret, long enough for it'
  const isBob = { user: 'bob', role: 'owner' }

  afterAll(() => rmSync(folder, { recursive: true }))

  test('any of its secrets is valid, and they may change while the server runs', async () => {
    let time = 0
    writeFileSync(file, `${older}\n`)
    const secrets = secretsIn(file, { now: () => time })
    const keys = async () => (await secrets()).map((key) => new TextDecoder().decode(key))
    expect(await keys()).toEqual([older])
    writeFileSync(file, `${newer}\n\n  ${older}\n`)
    expect(await keys()).toEqual([older])
    time += 1_000
    expect(await keys()).toEqual([newer, older])
  })

  test('tokens signed with the old or the new secret are valid, others are not', async () => {
    writeFileSync(file, `${newer}\n${older}\n`)
    const { required, authenticate } = createAuthenticator({ jwtSecretFile: file })
    expect(required).toBe(true)
    expect(await authenticate(await signed({ sub: 'bob' }, older))).toEqual(isBob)
    expect(await authenticate(await signed({ sub: 'bob' }, newer))).toEqual(isBob)
    await expect(authenticate(await signed({ sub: 'bob' }))).rejects.toMatchObject({ code: 'unauthenticated' })
    await expect(authenticate(await signed({ sub: 'bob', exp: now() - 60 }, older))).rejects.toMatchObject({
      code: 'unauthenticated',
    })
  })

  test('a file that becomes unusable does not sign anyone out: its previous secrets stay valid', async () => {
    let time = 0
    const lines: unknown[] = []
    const log = (fields: { err?: Error }, message: string) => lines.push([message, fields.err?.message])
    writeFileSync(file, older)
    const secrets = secretsIn(file, { now: () => time, logger: { info: log, error: log } as unknown as Logger })
    const keys = async () => (await secrets()).map((key) => new TextDecoder().decode(key))
    await keys()
    for (const text of ['', 'short', `${newer}\nshort`]) {
      writeFileSync(file, text)
      time += 1_000
      expect(await keys()).toEqual([older])
    }
    rmSync(file)
    time += 1_000
    expect(await keys()).toEqual([older])
    // A pipe without a writer would never end.
    execFileSync('mkfifo', [file])
    time += 1_000
    expect(await keys()).toEqual([older])
    rmSync(file)
    writeFileSync(file, newer)
    time += 1_000
    expect(await keys()).toEqual([newer])
    expect(lines).toEqual([
      ['failed to read the secret file; using its previous secrets', 'the file contains no secret'],
      ['reading the secret file works again', undefined],
    ])
  })

  // Between the start and the first token, the secrets that the start had read were lost, and nothing was logged.
  test('a file that vanishes before the first token does not sign anyone out either, and is logged', async () => {
    const lines: string[] = []
    const logger = { info: () => undefined, error: (_: object, message: string) => lines.push(message) } as never
    const gone = join(folder, 'gone')
    const known = [new TextEncoder().encode(older)]
    const ports = { logger, secrets: secretsIn(gone, { logger, known }) }
    const { authenticate } = createAuthenticator({ jwtSecretFile: gone }, ports)
    expect(await authenticate(await signed({ sub: 'bob' }, older))).toEqual(isBob)
    expect(lines).toEqual(['failed to read the secret file; using its previous secrets'])
    const unread = createAuthenticator({ jwtSecretFile: gone }, { logger })
    for (let asked = 0; asked < 2; asked += 1) {
      await expect(unread.authenticate(await signed({ sub: 'bob' }))).rejects.toMatchObject({ code: 'unavailable' })
    }
    expect(lines.slice(1)).toEqual(['failed to read the secret file; access tokens cannot be verified'])
  })

  test('an empty or missing file, or one with a short or binary secret, means unavailable, not unauthenticated', async () => {
    for (const [path, text] of [
      [join(folder, 'none'), ''],
      [file, '\n'],
      [file, 'x'.repeat(31)],
      // Not UTF-8: decoded, it would have 48 bytes that anybody knows.
      [file, Buffer.alloc(16, 0x80)],
      [file, `# A comment that is longer than a secret.\n${older}`],
    ] as const) {
      writeFileSync(file, text)
      const { authenticate } = createAuthenticator({ jwtSecretFile: path })
      await expect(authenticate(await signed({ sub: 'bob' }))).rejects.toMatchObject({ code: 'unavailable' })
    }
  })
})

describe('with published keys', () => {
  let server: Server
  let url: string
  let privateKey: CryptoKey
  let authenticator: Authenticator
  let keys: JWK[]

  beforeAll(async () => {
    const pair = await generateKeyPair('ES256')
    privateKey = pair.privateKey
    keys = [{ ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'ES256' }]
    server = createServer((_request, response) => response.end(JSON.stringify({ keys })))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
    authenticator = createAuthenticator({ jwksUrl: url })
  })

  afterAll(() => {
    server.close()
  })

  test('a token signed with one of them identifies its user', async () => {
    const token = await new SignJWT({ sub: 'bob' }).setProtectedHeader({ alg: 'ES256', kid: 'k1' }).sign(privateKey)
    expect(await authenticator.authenticate(token)).toEqual({ user: 'bob', role: 'owner' })
  })

  test('a token signed with a secret is unauthenticated, because published keys are not secret', async () => {
    await expect(authenticator.authenticate(await signed({ sub: 'bob' }))).rejects.toMatchObject({
      code: 'unauthenticated',
    })
  })

  test('a token signed with an unknown key is unauthenticated', async () => {
    const token = await new SignJWT({ sub: 'bob' }).setProtectedHeader({ alg: 'ES256', kid: 'k2' }).sign(privateKey)
    await expect(authenticator.authenticate(token)).rejects.toMatchObject({ code: 'unauthenticated' })
  })

  test('a key that is published later is fetched when a token names it', async () => {
    const rotating = createAuthenticator({ jwksUrl: url, jwksCooldownMs: 0 })
    const sign = (kid: string, by: CryptoKey) =>
      new SignJWT({ sub: 'bob' }).setProtectedHeader({ alg: 'ES256', kid }).sign(by)
    await rotating.authenticate(await sign('k1', privateKey))
    const pair = await generateKeyPair('ES256')
    const token = await sign('k3', pair.privateKey)
    await expect(rotating.authenticate(token)).rejects.toMatchObject({ code: 'unauthenticated' })
    keys = [...keys, { ...(await exportJWK(pair.publicKey)), kid: 'k3', alg: 'ES256' }]
    expect(await rotating.authenticate(token)).toEqual({ user: 'bob', role: 'owner' })
  })

  test('a token that names no key is verified with each of several keys', async () => {
    const sign = (by: CryptoKey) => new SignJWT({ sub: 'bob' }).setProtectedHeader({ alg: 'ES256' }).sign(by)
    const [pair, foreign] = [await generateKeyPair('ES256'), await generateKeyPair('ES256')]
    keys = [...keys, { ...(await exportJWK(pair.publicKey)), kid: 'k4', alg: 'ES256' }]
    const several = createAuthenticator({ jwksUrl: url })
    expect(await several.authenticate(await sign(pair.privateKey))).toEqual({ user: 'bob', role: 'owner' })
    await expect(several.authenticate(await sign(foreign.privateKey))).rejects.toMatchObject({
      code: 'unauthenticated',
    })
  })

  test('keys that cannot be fetched mean unavailable, not unauthenticated', async () => {
    const away = createAuthenticator({ jwksUrl: 'http://127.0.0.1:1/keys' })
    const token = await new SignJWT({ sub: 'bob' }).setProtectedHeader({ alg: 'ES256', kid: 'k1' }).sign(privateKey)
    await expect(away.authenticate(token)).rejects.toMatchObject({ code: 'unavailable' })
  })
})
