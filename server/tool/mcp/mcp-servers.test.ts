// Tools of real MCP servers, of the official package: over HTTP in both versions, and over stdio.
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SdkErrorCode, SdkHttpError } from '@modelcontextprotocol/client'
import { ReplyError } from '@parley/protocol'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { schemaPool } from '../schema-pool.ts'
import { failureOf } from './mcp-client.ts'
import { type Era, McpFixture } from './test/mcp-fixture.ts'
import { call, closeServers, connect, names, runOf, toolsOf } from './test/mcp-runs.ts'

const STDIO = fileURLToPath(new URL('test/stdio-server.mjs', import.meta.url))
afterEach(async () => {
  vi.restoreAllMocks()
  await closeServers()
})

describe.each<Era>(['modern', 'legacy'])('an MCP server over HTTP, %s', (era) => {
  let fixture: McpFixture
  let url: string
  beforeAll(async () => {
    fixture = await McpFixture.start(era)
    url = fixture.url
  })
  afterAll(() => fixture.dispose())

  it('offers its tools under its name, with its schemas, approvals and time limits', async () => {
    const config = { url, tools: ['echo', 'slow'], approval: ['slow'], timeoutMs: 300 }
    const tools = await toolsOf(connect({ fix: config }), runOf('ada', { allows: (name) => name !== 'fix_fail' }))
    expect(names(tools)).toEqual(['fix_echo', 'fix_slow'])
    const [echo, slow] = tools.values()
    expect(echo).toMatchObject({ description: 'Echoes.', approval: false, inputSchema: { required: ['text'] } })
    expect(slow).toMatchObject({ approval: true, timeoutMs: 300 })
    expect(await echo?.check({ text: 1 })).toMatchObject({ ok: false })
    expect(await call(tools, 'fix_echo', { text: 'hi' })).toEqual({ output: 'hi' })
    const aborted = new Promise<void>((resolve) => {
      fixture.aborted = resolve
    })
    const shown: unknown[] = []
    const progress = (given: unknown): void => void shown.push(given)
    const slowly = await call(tools, 'fix_slow', {}, undefined, { progress })
    expect(slowly).toEqual({ error: 'The tool took longer than 300 ms and was stopped.' })
    expect(shown).toEqual([{ text: 'one of three', done: 1, total: 3 }])
    // The server stops its work, too.
    await aborted
    expect(tools.problem?.('fix_other')).toBe('The MCP server fix has no tool that is named fix_other.')
    expect(tools.problem?.('other')).toBe(undefined)
  })

  it('gives results in a form for the model, and errors as errors', async () => {
    const tools = await toolsOf(connect({ fix: { url } }))
    const results = await Promise.all(
      ['structured', 'picture', 'fail', 'big'].map((name) => call(tools, `fix_${name}`)),
    )
    expect(results).toEqual([
      { output: { n: 1 } },
      { output: [{ type: 'image', mimeType: 'image/png', data: '4 characters omitted' }] },
      { error: 'it is broken' },
      { error: 'The answer of the MCP server is larger than 4194304 bytes.' },
    ])
    expect(await call(tools, 'fix_echo', { text: 'after' })).toEqual({ output: 'after' })
  })

  it('ends a call whose connection is cut at once, not at the time limit', async () => {
    const tools = await toolsOf(connect({ fix: { url } }))
    const real = fetch
    vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
      const response = await real(input, init)
      // The answer has begun: the official client then waits for the rest until its timeout.
      if (String(init?.body).includes('"name":"slow"')) fixture.cut()
      return response
    })
    const began = performance.now()
    expect(await call(tools, 'fix_slow')).toMatchObject({ error: expect.stringMatching(/may have taken effect/) })
    expect(performance.now() - began).toBeLessThan(5_000)
    expect(await call(tools, 'fix_echo', { text: 'after' })).toEqual({ output: 'after' })
  })

  it('changes its tools while a run uses them', async () => {
    const servers = connect({ fix: { url } })
    const tools = await toolsOf(servers)
    const before = fixture.tools
    await fixture.change(before.map((tool) => (tool.name === 'echo' ? { ...tool, name: 'echo.v2' } : tool)))
    await vi.waitFor(async () => expect(names(await toolsOf(servers))).toContain('fix_echo_v2_8cbbf91b'), {
      timeout: 20_000,
    })
    expect(await call(tools, 'fix_echo', { text: 'x' })).toEqual({
      error: 'The MCP server fix no longer has the tool fix_echo.',
    })
    await tools.ready?.(new AbortController().signal)
    expect(await call(tools, 'fix_echo_v2_8cbbf91b', { text: 'x' })).toEqual({ output: 'x' })
    await fixture.change(before)
  })

  it('offers at most 128 of 500 tools, and those that the configuration names', async () => {
    const before = fixture.tools
    fixture.tools = Array.from({ length: 500 }, (_, n) => ({ name: `t${n}`, inputSchema: { type: 'object' } }))
    const tools = await toolsOf(connect({ all: { url }, few: { url, tools: ['t499'] } }))
    expect(names(tools).filter((name) => name.startsWith('all_'))).toHaveLength(128)
    expect(names(tools)).toContain('few_t499')
    fixture.tools = before
  })

  it('is away, starts, stops and starts again', async () => {
    await fixture.stop()
    const servers = connect({ fix: { url } })
    const tools = await toolsOf(servers)
    expect(names(tools)).toEqual([])
    // A connection may have been kept open until a moment ago.
    expect(await call(tools, 'fix_echo')).toEqual({
      error: expect.stringMatching(/^The MCP server fix is not available: (ECONNREFUSED|UND_ERR_SOCKET)\.$/),
    })
    await fixture.listen()
    await vi.waitFor(async () => expect(names(await toolsOf(servers))).toContain('fix_echo'), { timeout: 20_000 })
    const later = await toolsOf(servers)
    await fixture.stop()
    expect(await call(later, 'fix_echo', { text: 'x' })).toMatchObject({
      error: expect.stringMatching(/ECONNREFUSED|ECONNRESET|may have/),
    })
    await fixture.listen()
    // The previous list stays, because the new one cannot be checked.
    vi.spyOn(schemaPool, 'checkSchema').mockRejectedValue(new ReplyError('rate_limited'))
    // The older version has a new session now.
    await vi.waitFor(async () => expect(await call(later, 'fix_echo', { text: 'x' })).toEqual({ output: 'x' }), 20_000)
  })

  it('never gets one person’s credential for a call of another', async () => {
    const headers = { Authorization: 'Bearer {claim:token}' }
    const servers = connect({ fix: { url, headers } }, { maxConnections: 2 })
    const people = ['ada', 'bob', 'cyd']
    const results = await Promise.all(
      people.map(async (name) => call(await toolsOf(servers, runOf(name)), 'fix_whoami')),
    )
    // At most two connections: the third one waited for nobody, and closed an unused one.
    expect(servers.connections).toBe(2)
    expect(results.filter((result) => 'output' in result).length).toBeGreaterThanOrEqual(2)
    for (const [n, result] of results.entries())
      if ('output' in result) expect(result).toEqual({ output: `Bearer ${people[n]}'s token` })
    const stolen = await toolsOf(servers, runOf('eve', { credentials: "ada's token" }))
    expect(await call(stolen, 'fix_whoami')).toEqual({ error: expect.stringMatching(/cannot be decrypted here/) })
    const without = await toolsOf(servers, runOf('ada', { credentials: undefined }))
    expect(await call(without, 'fix_whoami')).toEqual({ error: expect.stringMatching(/needs the claim token/) })
    // Neither a list nor a call.
    const list = vi.spyOn(globalThis, 'fetch')
    const shared = await toolsOf(servers, runOf('ada', { isShared: () => true }))
    expect([names(shared), list.mock.calls.length]).toEqual([[], 0])
    expect(await call(shared, 'fix_whoami')).toEqual({
      error: expect.stringMatching(/Another person has added a message/),
    })
  })

  it('gets headers without claims with every request', async () => {
    const tools = await toolsOf(connect({ fix: { url, headers: { Authorization: 'Basic x' } } }))
    expect(await call(tools, 'fix_whoami')).toEqual({ output: 'Basic x' })
  })

  it('loses the unused connections of people', async () => {
    const headers = { Authorization: 'Bearer {claim:token}' }
    const servers = connect({ fix: { url, headers } }, { idleMs: 50 })
    const tools = await toolsOf(servers)
    await vi.waitFor(() => expect([servers.connections, fixture.sessions]).toEqual([0, 0]), 20_000)
    // A run that waited for an approval meanwhile connects again.
    expect(await call(tools, 'fix_whoami')).toEqual({ output: "Bearer ada's token" })
  })
})

describe('a task of an MCP server', () => {
  it('is polled, and cancelled with its call', async () => {
    const fixture = await McpFixture.start('modern')
    const tools = await toolsOf(connect({ fix: { url: fixture.url } }))
    const shown: unknown[] = []
    const progress = (given: unknown): void => void shown.push(given)
    const done = await call(tools, 'fix_task', {}, undefined, { progress })
    expect(done).toEqual({ output: 'done by a task' })
    expect(shown[0]).toEqual({ text: 'is working' })
    const stop = new AbortController()
    const cancelled = new Promise<void>((resolve) => {
      fixture.aborted = resolve
    })
    const called = call(tools, 'fix_task', {}, stop.signal)
    await vi.waitFor(() => expect(fixture.callers.length).toBe(2), 20_000)
    stop.abort()
    expect(await called).toEqual({ error: 'The run has ended.' })
    await cancelled
    expect(fixture.cancelledTasks).toBe(1)
    // Too long for a timer of Node.js, which would fire at once.
    fixture.pollIntervalMs = 2 ** 40
    expect(await call(tools, 'fix_task', {}, AbortSignal.timeout(300))).toEqual({ error: 'The run has ended.' })
    await fixture.dispose()
  })
})

describe('an MCP server over stdio', () => {
  it('speaks either version, has its own environment, dies in a call and is started again', async () => {
    process.env.PARLEY_SECRET = 'x'
    const folder = mkdtempSync(join(tmpdir(), 'parley-stdio-'))
    const starts = join(folder, 'starts')
    const program = { command: process.execPath, env: { GIVEN: 'yes' } }
    const servers = connect({
      old: { ...program, args: [STDIO], env: { ...program.env, STARTS: starts } },
      new: { ...program, args: [STDIO, 'modern'] },
    })
    await vi.waitFor(async () => expect(names(await toolsOf(servers)).length).toBe(10), { timeout: 20_000 })
    const tools = await toolsOf(servers)
    expect(await call(tools, 'old_add', { a: 1, b: 2 })).toEqual({ output: '3' })
    expect(await call(tools, 'old_env')).toEqual({ output: expect.stringMatching(/^legacy yes undefined \d+$/) })
    expect(await call(tools, 'new_env')).toEqual({ output: expect.stringMatching(/^modern yes undefined \d+$/) })
    // Negotiation would start it twice, and an older program does not need that.
    expect(readFileSync(starts, 'utf8')).toBe('started\n')
    const lost = { error: 'The connection to the MCP server broke during the call. The tool may have taken effect.' }
    expect(await call(tools, 'old_die')).toEqual(lost)
    await vi.waitFor(async () => expect(await call(tools, 'old_add', { a: 1, b: 2 })).toEqual({ output: '3' }), {
      timeout: 20_000,
    })
    expect(await call(tools, 'old_big')).toEqual({ error: 'The output of the tool is larger than 262144 bytes.' })
    await vi.waitFor(async () => expect(await call(tools, 'old_add', { a: 1, b: 2 })).toEqual({ output: '3' }), {
      timeout: 20_000,
    })
    rmSync(folder, { recursive: true })
  }, 30_000)

  it('does not exist, or never answers', async () => {
    const silent = { command: process.execPath, args: [STDIO, 'silent'] }
    const servers = connect({ none: { command: '/no/such/program' }, silent }, { connectMs: 300, waitMs: 100 })
    const tools = await toolsOf(servers)
    await vi.waitFor(
      async () => {
        await tools.ready?.(new AbortController().signal)
        expect(await call(tools, 'none_x')).toEqual({ error: 'The MCP server none is not available: ENOENT.' })
        expect(await call(tools, 'silent_x')).toEqual({
          error: expect.stringMatching(/silent is not available: it did not answer within 300 ms/),
        })
      },
      { timeout: 20_000 },
    )
  })
})

// fetch would follow it, and remove only `Authorization`.
it('does not follow a redirect to another origin, so that its headers go nowhere else', async () => {
  const fixture = await McpFixture.start('legacy')
  const moved = createHttpServer((_, response) => response.writeHead(307, { Location: fixture.url }).end())
  await once(moved.listen(0, '127.0.0.1'), 'listening')
  const { port } = moved.address() as { port: number }
  const url = `http://127.0.0.1:${port}/mcp`
  const tools = await toolsOf(connect({ moved: { url, headers: { 'X-Api-Key': 'key' } } }))
  expect(await call(tools, 'moved_echo', { text: 'x' })).toEqual({
    error: 'The MCP server moved is not available: it answers with HTTP status 307.',
  })
  expect(fixture.sessions).toBe(0)
  moved.close()
  await fixture.dispose()
})

it.each([
  [404, /is not available/],
  [503, /is not available/],
  [502, /may have taken effect/],
  [504, /may have taken effect/],
])('tells the model what HTTP status %i says about a call', (status, message) => {
  const data = { status, statusText: '' }
  const error = new SdkHttpError(SdkErrorCode.ClientHttpNotImplemented, 'refused', data)
  expect(failureOf(error).message).toMatch(message)
})

it('waits for a slow server only for a limited time', async () => {
  const mute = createServer(() => undefined)
  mute.listen(0, '127.0.0.1')
  await once(mute, 'listening')
  const { port } = mute.address() as { port: number }
  const servers = connect({ mute: { url: `http://127.0.0.1:${port}/mcp` } }, { waitMs: 50, connectMs: 300 })
  const tools = await toolsOf(servers)
  expect(await call(tools, 'mute_x')).toEqual({ error: 'The MCP server mute is still starting.' })
  await servers.close()
  mute.close()
})
