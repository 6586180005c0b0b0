// A tool of an MCP server on a cluster: the gateway has the sender's claim, and the worker needs it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { expect, it } from 'vitest'
import { NatsServer } from '../../bench/cluster/nats-server.ts'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { McpFixture } from '../tool/mcp/test/mcp-fixture.ts'

it('gets the credential of the sender on a worker, from a gateway that knows it', async () => {
  const nats = await NatsServer.start()
  const fixture = await McpFixture.start('legacy')
  const folder = mkdtempSync(join(tmpdir(), 'parley-mcp-'))
  const mail = { url: fixture.url, headers: { Authorization: 'Bearer {claim:key}' } }
  writeFileSync(join(folder, 'parley.config.json'), JSON.stringify({ mcpServers: { mail } }))
  const secret = 'a secret of thirty-two characters'
  const env = {
    PARLEY_NATS_URL: nats.url,
    PARLEY_CONFIG: join(folder, 'parley.config.json'),
    PARLEY_CREDENTIALS_KEY: `another, ${secret}`,
  }
  const nodes = await Promise.all([
    ServerProcess.start({ ...env, PARLEY_ROLE: 'gateway', PARLEY_NODE: 'gateway', PARLEY_JWT_SECRET: secret }),
    ServerProcess.start({ ...env, PARLEY_ROLE: 'worker', PARLEY_NODE: 'worker' }),
  ])
  const unsigned = new SignJWT({ sub: 'ada', key: 'key of ada' }).setProtectedHeader({ alg: 'HS256' })
  const token = await unsigned.setExpirationTime('1h').sign(new TextEncoder().encode(secret))
  const response = await fetch(`http://127.0.0.1:${nodes[0].port}/v1/sessions/s/messages`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ content: '/demo tool=mail_whoami count=1 rate=0' }),
  })
  expect(await response.json()).toMatchObject({ text: '"Bearer key of ada"\n0' })
  await Promise.all([...nodes, fixture, nats].map((part) => part.dispose()))
  rmSync(folder, { recursive: true })
})
