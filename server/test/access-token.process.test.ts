// The command `parley-server token`: a server with the same settings accepts the access token that it prints.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { TestClient } from '../transports/test/test-client.ts'

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url))
const SECRET = 'a secret that is long enough for HS256'

let folder: string
const servers: ServerProcess[] = []

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'parley-token-'))
  writeFileSync(join(folder, 'secrets'), `a newer secret that signs from now on\n${SECRET}\n`)
  writeFileSync(join(folder, 'empty'), '\n')
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ jwtSecret: SECRET }))
})
afterEach(async () => {
  for (const server of servers.splice(0)) await server.dispose()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

type Env = Readonly<Record<string, string>>

/** Runs `parley-server token` and resolves when it has ended. */
async function run(env: Env, ...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, 'token', ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const result = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    result.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    result.stderr += text
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, ...result }
}

async function tokenOf(env: Env, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(env, ...args)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/)
  return stdout.trim()
}

async function start(env: Env): Promise<ServerProcess> {
  const server = await ServerProcess.start(env)
  servers.push(server)
  return server
}

async function me(server: ServerProcess, token: string): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`http://127.0.0.1:${server.port}/v1/me`, { headers: { Authorization: `Bearer ${token}` } })
  return { status: answer.status, body: await answer.json() }
}

async function post(server: ServerProcess, token: string): Promise<{ status: number; body: unknown }> {
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }
  const body = JSON.stringify({ content: '/demo count=1 ttft=0' })
  const answer = await fetch(`http://127.0.0.1:${server.port}/jobs`, { method: 'POST', headers, body })
  return { status: answer.status, body: await answer.json() }
}

async function connect(server: ServerProcess, token: string): Promise<TestClient> {
  const client = new TestClient(server.url)
  await client.opened
  client.send({ type: 'hello', token })
  return client
}

function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
}

describe('an access token from the command', () => {
  it('is accepted over HTTP and over WebSocket for its user', async () => {
    const env = { PARLEY_JWT_SECRET: SECRET }
    const server = await start(env)
    const token = await tokenOf(env, '--user', 'zoë@example.org', '--name', 'Zoë')
    expect(await me(server, token)).toMatchObject({ status: 200, body: { user: 'zoë@example.org', name: 'Zoë' } })
    const client = await connect(server, token)
    expect(await client.next('welcome')).toMatchObject({ user: 'zoë@example.org', name: 'Zoë' })
    client.destroy()
  })

  it('ends its connection when it expires, and is refused from then on', async () => {
    const env = { PARLEY_JWT_SECRET: SECRET, PARLEY_JWT_CLOCK_SKEW: '0' }
    const server = await start(env)
    const token = await tokenOf(env, '--user', 'ada', '--ttl', '2s')
    const client = await connect(server, token)
    expect((await client.closed).code).toBe(4401)
    expect(await me(server, token)).toMatchObject({ status: 401, body: { code: 'unauthenticated' } })
    const again = await connect(server, token)
    expect((await again.closed).code).toBe(4401)
  })

  it('carries the issuer, the audience and the claims that the server is configured for', async () => {
    const env = {
      PARLEY_JWT_SECRET: SECRET,
      PARLEY_JWT_ISSUER: 'https://id.example.org',
      PARLEY_JWT_AUDIENCE: 'parley',
      PARLEY_JWT_USER_CLAIM: 'uid',
      PARLEY_JWT_NAME_CLAIM: 'nick',
      PARLEY_JWT_ROLE_CLAIM: 'may',
    }
    const server = await start(env)
    const token = await tokenOf(env, '--user', 'ada', '--name', 'Ada', '--role', 'viewer')
    expect(await me(server, token)).toMatchObject({ status: 200, body: { user: 'ada', name: 'Ada' } })
    expect(await post(server, token)).toMatchObject({ status: 403, body: { code: 'forbidden' } })
    expect(await post(server, await tokenOf(env, '--user', 'ada', '--role', 'editor'))).toMatchObject({ status: 202 })
    const plain = await tokenOf({ PARLEY_JWT_SECRET: SECRET }, '--user', 'ada')
    expect((await me(server, plain)).status).toBe(401)
  })

  it('has the audience that the command names, for the MCP endpoint alone', async () => {
    const url = 'https://chat.example.org/mcp'
    const env = {
      PARLEY_JWT_SECRET: SECRET,
      PARLEY_JWT_ISSUER: 'https://id.example.org',
      PARLEY_JWT_AUDIENCE: 'parley',
      PARLEY_MCP_URL: url,
    }
    const server = await start(env)
    const discover = async (token: string): Promise<number> => {
      const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' }
      const answer = await fetch(`http://127.0.0.1:${server.port}/mcp`, {
        method: 'POST',
        headers: {
          Authorization: `Bearer ${token}`,
          'Content-Type': 'application/json',
          'MCP-Protocol-Version': '2026-07-28',
          'Mcp-Method': 'server/discover',
        },
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'server/discover',
          params: { _meta: { ...meta, 'io.modelcontextprotocol/clientCapabilities': {} } },
        }),
      })
      return answer.status
    }
    const [chat, mcp] = await Promise.all([
      tokenOf(env, '--user', 'ada'),
      tokenOf(env, '--user', 'ada', '--audience', url),
    ])
    expect([(await me(server, chat)).status, await discover(chat)]).toEqual([200, 401])
    expect([(await me(server, mcp)).status, await discover(mcp)]).toEqual([401, 200])
  })

  it('is signed with the first secret of a file, all of which the server accepts', async () => {
    const file = { PARLEY_JWT_SECRET_FILE: join(folder, 'secrets') }
    const server = await start(file)
    const old = await tokenOf({ PARLEY_JWT_SECRET: SECRET }, '--user', 'ada')
    expect((await me(server, old)).status).toBe(200)
    const signed = await tokenOf(file, '--user', 'ada')
    expect((await me(server, signed)).status).toBe(200)
    expect((await me(await start({ PARLEY_JWT_SECRET: SECRET }), signed)).status).toBe(401)
  })

  it('is signed with the secret of a configuration file', async () => {
    const token = await tokenOf({ PARLEY_CONFIG: 'config.json' }, '--user', 'ada')
    expect((await me(await start({ PARLEY_JWT_SECRET: SECRET }), token)).status).toBe(200)
  })

  it('expires after the time that the command asks for', async () => {
    const ttls: [string[], number][] = [
      [[], 12 * 3_600],
      [['--ttl', '3600s'], 3_600],
      [['--ttl', '365d'], 365 * 86_400],
    ]
    for (const [args, seconds] of ttls) {
      const { iat, exp } = claimsOf(await tokenOf({ PARLEY_JWT_SECRET: SECRET }, '--user', 'ada', ...args))
      expect(Number(exp) - Number(iat)).toBe(seconds)
      expect(Math.abs(Number(iat) - Date.now() / 1_000)).toBeLessThan(30)
    }
  })
})

describe('the command refuses, with code 2 and nothing on stdout,', () => {
  const secret = { PARLEY_JWT_SECRET: SECRET }
  it.each<[string, Env, string[], RegExp]>([
    ['a call without a user', secret, [], /--user is missing/],
    ['an empty user', secret, ['--user', ''], /--user must be 1 to 256 characters/],
    ['a user that is too long', secret, ['--user', 'u'.repeat(257)], /--user must be 1 to 256 characters/],
    ['a ttl without a unit', secret, ['--user', 'ada', '--ttl', '60'], /--ttl 60 must be a duration/],
    ['a ttl of nothing', secret, ['--user', 'ada', '--ttl', '0s'], /--ttl 0s must be a duration/],
    ['a ttl over a year', secret, ['--user', 'ada', '--ttl', '366d'], /from 1s to 365d/],
    ['an unknown role', secret, ['--user', 'ada', '--role', 'king'], /--role king must be one of owner, editor/],
    ['an unknown option', secret, ['--user', 'ada', '--age', '9'], /Unknown option '--age'/],
    ['a further word', secret, ['--user', 'ada', 'bob'], /Unexpected argument 'bob'/],
    ['to sign without a secret', {}, ['--user', 'ada'], /No secret is configured/],
    ['to sign with a key set', { PARLEY_JWKS_URL: 'http://127.0.0.1:9/jwks' }, ['--user', 'ada'], /cannot sign/],
    ['a secret file that is not there', { PARLEY_JWT_SECRET_FILE: 'none' }, ['--user', 'ada'], /FILE none .*ENOENT/],
    ['a secret file without a secret', { PARLEY_JWT_SECRET_FILE: 'empty' }, ['--user', 'ada'], /FILE empty/],
    ['an invalid configuration', { PARLEY_PROT: '1' }, ['--user', 'ada'], /PARLEY_PROT/],
  ])('%s', async (_, env, args, message) => {
    const { code, stdout, stderr } = await run(env, ...args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
    expect(stderr).not.toContain(SECRET)
  })
})
