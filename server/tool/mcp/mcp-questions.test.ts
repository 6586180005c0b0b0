// What the tools of MCP servers ask a person, in both versions: each question reaches the call that asks, and its answer the tool.
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Answer, Question } from '../define-tool.ts'
import { type Era, McpFixture } from './test/mcp-fixture.ts'
import { call, closeServers, connect, toolsOf } from './test/mcp-runs.ts'

const STDIO = fileURLToPath(new URL('test/stdio-server.mjs', import.meta.url))
const never = new AbortController().signal
afterEach(closeServers)

/** Answers with the run's own name. */
const answersIn = (run: string, asked: Question[] = []) => ({
  run,
  ask: async (question: Question): Promise<Answer> => {
    asked.push(question)
    return { action: 'accept', content: { name: run }, by: 'ada' }
  },
})
const refuses = (action: 'decline' | 'cancel') => ({
  run: 'r',
  ask: async (): Promise<Answer> => ({ action, by: 'ada' }),
})

describe.each<Era>(['modern', 'legacy'])('a question over HTTP, %s', (era) => {
  let fixture: McpFixture
  beforeAll(async () => {
    fixture = await McpFixture.start(era)
  })
  afterAll(() => fixture.dispose())

  it('is asked in a form, and its answer reaches the tool', async () => {
    const tools = await toolsOf(connect({ fix: { url: fixture.url } }))
    const asked: Question[] = []
    const accepted = await call(tools, 'fix_ask', { message: 'Who?' }, never, answersIn('ann', asked))
    expect(accepted).toEqual({ output: '{"action":"accept","content":{"name":"ann"}}' })
    expect(asked).toMatchObject([{ message: 'Who?', schema: { type: 'object', required: ['name'] } }])
    expect(await call(tools, 'fix_ask', {}, never, refuses('decline'))).toEqual({ output: '{"action":"decline"}' })
    expect(await call(tools, 'fix_ask', {}, never, refuses('cancel'))).toEqual({ output: '{"action":"cancel"}' })
  })

  // One connection serves all people whose servers need no claims.
  it('is asked in the run whose call it belongs to', async () => {
    const tools = await toolsOf(connect({ fix: { url: fixture.url } }))
    const runs = ['one', 'two', 'three', 'four']
    const results = await Promise.all(runs.map((run) => call(tools, 'fix_ask', {}, never, answersIn(run))))
    expect(results).toEqual(runs.map((run) => ({ output: `{"action":"accept","content":{"name":"${run}"}}` })))
  })

  it('is refused if it is a link to open', async () => {
    const tools = await toolsOf(connect({ fix: { url: fixture.url } }))
    const asked: Question[] = []
    const refused = await call(tools, 'fix_ask_link', {}, never, answersIn('ann', asked))
    expect(refused).toEqual({ error: expect.stringMatching(/link/i) })
    expect(asked).toEqual([])
  })
})

describe('a question that does not say which call it belongs to', () => {
  let fixture: McpFixture
  beforeAll(async () => {
    fixture = await McpFixture.start('legacy')
  })
  afterAll(() => fixture.dispose())

  it('is asked if only one run has calls', async () => {
    const tools = await toolsOf(connect({ fix: { url: fixture.url } }))
    expect(await call(tools, 'fix_ask_anywhere', {}, never, answersIn('ann'))).toEqual({
      output: '{"action":"accept","content":{"name":"ann"}}',
    })
  })

  it('is asked nobody while several runs have calls', async () => {
    const tools = await toolsOf(connect({ fix: { url: fixture.url } }))
    const stop = new AbortController()
    const began = new Promise<void>((resolve) => {
      fixture.began = resolve
    })
    const other = call(tools, 'fix_slow', {}, stop.signal, answersIn('bob'))
    await began
    const asked: Question[] = []
    const refused = await call(tools, 'fix_ask_anywhere', {}, never, answersIn('ann', asked))
    expect(refused).toEqual({ error: expect.stringMatching(/which of several calls/) })
    expect(asked).toEqual([])
    stop.abort()
    await other
  })

  it('is asked over stdio', async () => {
    const servers = connect({ old: { command: process.execPath, args: [STDIO] } })
    const tools = servers.toolsFor(new Map(), {
      author: 'ada',
      credentials: undefined,
      isShared: () => false,
      allows: () => true,
    })
    await expect.poll(async () => tools.ready?.(never).then(() => tools.has('old_ask')), { timeout: 20_000 }).toBe(true)
    expect(await call(tools, 'old_ask', {}, never, answersIn('ann'))).toEqual({
      output: '{"action":"accept","content":{"name":"ann"}}',
    })
  }, 30_000)
})

it('of a task is answered by an update of the task', async () => {
  const fixture = await McpFixture.start('modern')
  const tools = await toolsOf(connect({ fix: { url: fixture.url } }))
  expect(await call(tools, 'fix_ask_task', {}, never, answersIn('ann'))).toEqual({
    output: '{"action":"accept","content":{"name":"ann"}}',
  })
  await fixture.dispose()
})
