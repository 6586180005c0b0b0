// Whole runs with MCP servers that misbehave, in both versions and over stdio: each fault ends in an error of the call that the model
// reads, or in a question in the log, and no run hangs.
import { fileURLToPath } from 'node:url'
import { type Event, makeId } from '@parley/protocol'
import { pino } from 'pino'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { McpServersConfig } from '../tool/mcp/mcp-config.ts'
import { McpServers } from '../tool/mcp/mcp-servers.ts'
import { type Era, McpFixture } from '../tool/mcp/test/mcp-fixture.ts'
import { names, runOf, toolsOf } from '../tool/mcp/test/mcp-runs.ts'
import { CALLER, EngineHarness, type PlayedCall } from './test/engine-harness.ts'

const STDIO = fileURLToPath(new URL('../tool/mcp/test/stdio-server.mjs', import.meta.url))
let mcp: McpServers
let h: EngineHarness
const fixtures: McpFixture[] = []
afterEach(async () => {
  await h.dispose()
  await mcp.close()
  for (const fixture of fixtures.splice(0)) await fixture.dispose()
})

async function serve(era: Era): Promise<McpFixture> {
  const fixture = await McpFixture.start(era)
  fixtures.push(fixture)
  return fixture
}

async function start(servers: McpServersConfig, waitMs = 20_000): Promise<void> {
  const logger = pino({ level: 'silent' })
  mcp = new McpServers({
    servers,
    version: '1',
    logger,
    waitMs,
    backoffMs: [20, 50],
    open: async () => ({ claims: {} }),
  })
  mcp.start()
  h = await EngineHarness.start({ mcp })
}

const offered = (model: PlayedCall): string[] => (model.options.tools ?? []).map(({ name }) => name)

/** Waits until the servers offer a tool to new runs. */
const lists = (name: string): Promise<void> =>
  vi.waitFor(async () => expect(names(await toolsOf(mcp, runOf('ada')))).toContain(name), { timeout: 25_000 })

let sessions = 0
/** Starts a run. @returns the session, and its first model call */
async function begin() {
  sessions += 1
  const session = `s${sessions}`
  const { run } = await h.send(session, 'go')
  return { session, run, model: await h.model.next() }
}

/** The model calls a tool. */
async function callTool(session: string, model: PlayedCall, name: string): Promise<string> {
  const known = (await h.entries(session)).filter(({ type }) => type === 'tool.called').length
  model.tool(name, { text: 'hi' })
  model.finish('tool-calls')
  let seen = 0
  const { call } = await h.event(session, 'tool.called', () => {
    seen += 1
    return seen > known
  })
  return call
}

const resultOf = (session: string, call: string) => h.event(session, 'tool.result', (event) => event.call === call)

/** The model reads the result of its call, and completes the run. */
async function finish(session: string, model?: PlayedCall): Promise<void> {
  const last = model ?? (await h.model.next())
  last.text('done')
  last.finish()
  expect(await h.event(session, 'run.ended')).toMatchObject({ reason: 'completed' })
}

/** A whole run that calls one tool. @returns the result of the call */
async function runWith(name: string): Promise<Partial<Event>> {
  const { session, model } = await begin()
  const result = await resultOf(session, await callTool(session, model, name))
  await finish(session)
  return result
}

/** A whole run that calls one tool, which asks for a name. */
async function answerRun(name: string) {
  const { session, model } = await begin()
  const call = await callTool(session, model, name)
  const asked = await h.event(session, 'tool.asked')
  const command = { type: 'tool.answer', id: makeId('a'), session, call, question: asked.question } as const
  await h.service.answer({ ...command, action: 'accept', content: { name: 'Ann' } }, CALLER)
  const result = await resultOf(session, call)
  await finish(session)
  return { asked, result }
}

describe.each<Era>(['modern', 'legacy'])('a run that uses an MCP server (%s)', (era) => {
  it('continues without the tools of a server that is slow to start, and the next run has them', async () => {
    const fixture = await serve(era)
    let release = (): void => undefined
    fixture.held = new Promise((resolve) => {
      release = resolve
    })
    await start({ fix: { url: fixture.url } }, 50)
    const { session, model } = await begin()
    expect(offered(model)).toEqual([])
    const result = await resultOf(session, await callTool(session, model, 'fix_echo'))
    expect(result).toMatchObject({ error: 'The MCP server fix is still starting.' })
    await finish(session)
    release()
    await lists('fix_echo')
    expect(await runWith('fix_echo')).toMatchObject({ output: 'hi' })
  })

  it('gets an error if the server dies in a call', async () => {
    const fixture = await serve(era)
    fixture.began = () => fixture.cut()
    await start({ fix: { url: fixture.url } })
    const error = 'The connection to the MCP server broke during the call. The tool may have taken effect.'
    expect(await runWith('fix_slow')).toMatchObject({ error })
  })

  it('is offered at most 128 of 500 tools, and calls of others fail', async () => {
    const fixture = await serve(era)
    fixture.tools = Array.from({ length: 500 }, (_, n) => ({ name: `t${n}`, inputSchema: { type: 'object' } }))
    await start({ fix: { url: fixture.url } })
    const { session, model } = await begin()
    expect(offered(model)).toHaveLength(128)
    const result = await resultOf(session, await callTool(session, model, 'fix_t499'))
    expect(result).toMatchObject({ error: 'The MCP server fix has no tool that is named fix_t499.' })
    const next = await h.model.next()
    expect(await resultOf(session, await callTool(session, next, 'fix_t0'))).toMatchObject({ output: 'hi' })
    await finish(session)
  })

  it('gets an error if the server has renamed the tool, and is offered the new one', async () => {
    const fixture = await serve(era)
    await start({ fix: { url: fixture.url } })
    const { session, model } = await begin()
    expect(offered(model)).toContain('fix_echo')
    await fixture.change(fixture.tools.map((tool) => (tool.name === 'echo' ? { ...tool, name: 'repeat' } : tool)))
    await lists('fix_repeat')
    const result = await resultOf(session, await callTool(session, model, 'fix_echo'))
    expect(result).toMatchObject({ error: 'The MCP server fix no longer has the tool fix_echo.' })
    const next = await h.model.next()
    expect(offered(next)).toContain('fix_repeat')
    expect(offered(next)).not.toContain('fix_echo')
    expect(await resultOf(session, await callTool(session, next, 'fix_repeat'))).toMatchObject({ output: 'hi' })
    await finish(session)
  })

  it('gets an error instead of 10 MB, and can use the server again', async () => {
    const fixture = await serve(era)
    await start({ fix: { url: fixture.url } })
    expect(await runWith('fix_big')).toMatchObject({
      error: 'The answer of the MCP server is larger than 4194304 bytes.',
    })
    expect(await runWith('fix_echo')).toMatchObject({ output: 'hi' })
  })

  it('has the question of a tool in its log, and the answer reaches the tool', async () => {
    const fixture = await serve(era)
    await start({ fix: { url: fixture.url } })
    for (const tool of era === 'modern' ? ['fix_ask', 'fix_ask_task'] : ['fix_ask']) {
      const { asked, result } = await answerRun(tool)
      expect(asked.schema).toMatchObject({ type: 'object', required: ['name'] })
      expect(result).toMatchObject({ output: '{"action":"accept","content":{"name":"Ann"}}' })
    }
    expect(await runWith('fix_ask_link')).toMatchObject({ error: expect.stringMatching(/open a link/) })
  })

  it('shows its progress to readers, and ends with a cancel, also at the server', async () => {
    const fixture = await serve(era)
    const aborted = new Promise<void>((resolve) => {
      fixture.aborted = resolve
    })
    await start({ fix: { url: fixture.url } })
    const { session, run = '', model } = await begin()
    const call = await callTool(session, model, 'fix_slow')
    const progress = await h.event(session, 'tool.progress')
    expect(progress).toEqual({ type: 'tool.progress', run, call, text: 'one of three', done: 1, total: 3 })
    await h.service.cancel({ type: 'cancel', id: makeId('c'), session, run }, CALLER)
    expect(await h.event(session, 'run.ended')).toMatchObject({ reason: 'cancelled' })
    await aborted
  })
})

it('a run gets an error if a program never answers, dies in a call, or answers 10 MB, and may be asked', async () => {
  const program = { command: process.execPath, args: [STDIO] }
  await start({ old: program, silent: { ...program, args: [STDIO, 'silent'] } }, 50)
  await lists('old_die')
  const { result } = await answerRun('old_ask')
  expect(result).toMatchObject({ output: '{"action":"accept","content":{"name":"Ann"}}' })
  expect(await runWith('silent_x')).toMatchObject({ error: 'The MCP server silent is still starting.' })
  const error = 'The connection to the MCP server broke during the call. The tool may have taken effect.'
  expect(await runWith('old_die')).toMatchObject({ error })
  // It starts again.
  await vi.waitFor(async () => expect(await runWith('old_env')).toHaveProperty('output'), { timeout: 25_000 })
  expect(await runWith('old_big')).toMatchObject({ error: 'The output of the tool is larger than 262144 bytes.' })
}, 60_000)
