// MCP servers as tools: the model uses one over stdio, and one over HTTP with the user’s own credentials.
import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import { ParleyClient } from '@parley/client'
import { z } from 'zod'
import { withServer } from './server.ts'

const text = (value: string) => ({ content: [{ type: 'text' as const, text: value }] })

/** The server over stdio: Parley starts this file again with the argument `calculator`. */
function calculator(): McpServer {
  const server = new McpServer({ name: 'calculator', version: '1.0.0' })
  const inputSchema = z.object({ a: z.number(), b: z.number() })
  server.registerTool('add', { description: 'Adds.', inputSchema }, ({ a, b }) => text(String(a + b)))
  return server
}

/** The server over HTTP: it knows each person by the credential of the request. */
function mailbox(authorization: string | null): McpServer {
  const server = new McpServer({ name: 'mail', version: '1.0.0' })
  server.registerTool('unread', { description: 'Counts unread mail.' }, () => text(`mail for ${authorization}`))
  server.registerTool('purge', { description: 'Deletes all mail.' }, () => text('deleted'))
  return server
}

if (process.argv[2] === 'calculator') serveStdio(calculator)
else await main()

async function main(): Promise<void> {
  const handler = createMcpHandler((context) => mailbox(context.requestInfo?.headers.get('authorization') ?? null))
  const serve = toNodeHandler(handler)
  const http = createServer((request, response) => void serve(request as Parameters<typeof serve>[0], response)).listen(
    0,
    '127.0.0.1',
  )
  await once(http, 'listening')
  const folder = await mkdtemp(join(tmpdir(), 'parley-mcp-'))
  const config = join(folder, 'parley.config.json')
  const secret = randomBytes(32).toString('hex')
  const mcpServers = {
    calc: { command: process.execPath, args: [fileURLToPath(import.meta.url), 'calculator'] },
    mail: {
      url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/`,
      headers: { Authorization: 'Bearer {claim:mail_token}' },
      approval: ['purge'],
    },
  }
  await writeFile(config, JSON.stringify({ mcpServers }))

  await withServer(
    async (url) => {
      const ada = token(secret, { sub: 'ada', mail_token: 'key-of-ada' })
      const bob = token(secret, { sub: 'bob', mail_token: 'key-of-bob' })
      const client = new ParleyClient({ url, token: ada })
      const session = client.session(`mcp-${crypto.randomUUID()}`)

      const sum = await session.send('/demo tool=calc_add input={"a":2,"b":40} count=1 rate=0').result()
      assert.match(sum.text, /42/)

      const mine = await session.send('/demo tool=mail_unread count=1 rate=0').result()
      assert.match(mine.text, /mail for Bearer key-of-ada/)

      // Another person in the same session, over plain HTTP.
      const post = async (path: string, by: string, body: object): Promise<Record<string, unknown>> => {
        const headers = {
          authorization: `Bearer ${by}`,
          accept: 'application/json',
          'content-type': 'application/json',
        }
        const request = { method: 'POST', headers, body: JSON.stringify(body) }
        const response = await fetch(`${url}/v1/sessions/${session.id}/${path}`, request)
        assert.ok(response.ok, `${path}: ${response.status}`)
        return (await response.json()) as Record<string, unknown>
      }
      const invitation = await post('invites', ada, { role: 'editor' })
      await post('members', bob, { token: invitation.token })
      const theirs = await post('messages', bob, { content: '/demo tool=mail_unread count=1 rate=0' })
      assert.match(JSON.stringify(theirs), /mail for Bearer key-of-bob/)

      // Nothing is deleted before a person agrees.
      const purge = session.send('/demo tool=mail_purge count=1 rate=0')
      const stop = session.subscribe(() => {
        for (const call of session.state.calls.values()) {
          if (call.status !== 'deciding') continue
          stop()
          session.decide(call.id, 'deny').catch((error: unknown) => assert.fail(String(error)))
        }
      })
      assert.doesNotMatch((await purge.result()).text, /deleted/)
      await client.close()
    },
    { PARLEY_CONFIG: config, PARLEY_JWT_SECRET: secret },
  )
  await handler.close()
  http.close()
  http.closeAllConnections()
  await rm(folder, { recursive: true })
}

/** An access token (HS256), as an identity provider makes it. */
function token(secret: string, claims: Record<string, string>): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const body = `${part({ alg: 'HS256' })}.${part({ ...claims, exp: Math.floor(Date.now() / 1000) + 3600 })}`
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`
}
