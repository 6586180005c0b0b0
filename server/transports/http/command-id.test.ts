// Idempotency-Key: which requests must have one, on every route that takes commands.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { loadConfig } from '../../config/config.ts'
import { createServer, type Server } from '../../create-server.ts'

let folder: string
let server: Server

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-command-id-'))
  const config = await loadConfig({ PARLEY_DATA: folder, PARLEY_PORT: '0' }, folder)
  server = await createServer(config, pino({ level: 'silent' }))
})
afterAll(async () => {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

function send(path: string, body: object, headers: Record<string, string>): Promise<Response> {
  return fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}

const chat = { model: 'demo', messages: [{ role: 'user', content: '/demo count=1' }] }

// SSE clients such as go-sse and reqwest-eventsource repeat a POST automatically, with Last-Event-ID.
it.each([
  ['/v1/sessions/s/messages', { content: '/demo count=1' }],
  ['/v1/sessions/s/cancel', {}],
  ['/jobs', { content: '/demo count=1' }],
  ['/v1/chat/completions', chat],
  ['/v1/responses', { model: 'demo', input: '/demo count=1' }],
])('a repeat at %s with Last-Event-ID needs the key of the first request', async (path, body) => {
  const refused = await send(path, body, { 'Last-Event-ID': 'I8FFj1l93q-U.11' })
  expect(refused.status).toBe(400)
  expect(await refused.text()).toContain('Idempotency-Key')
})

it.each([
  ['an empty Last-Event-ID, which some clients send with the first request', { 'Last-Event-ID': '' }],
  ['a Last-Event-ID and a key', { 'Last-Event-ID': 'I8FFj1l93q-U.11', 'Idempotency-Key': 'one' }],
])('a request with %s is accepted', async (_, headers) => {
  expect((await send('/v1/chat/completions', chat, headers as Record<string, string>)).status).toBe(200)
})
