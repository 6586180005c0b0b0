// Streams of MCP servers over HTTP: they are resumed, limited and closed, and a server that forgot the session is asked again.
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Era, McpFixture } from './test/mcp-fixture.ts'
import { call, closeServers, connect, toolsOf } from './test/mcp-runs.ts'

afterEach(async () => {
  vi.restoreAllMocks()
  await closeServers()
})

describe('the older version', () => {
  let fixture: McpFixture
  beforeAll(async () => {
    fixture = await McpFixture.start('legacy')
  })
  afterAll(() => fixture.dispose())

  it('resumes the stream of a call whose connection was cut', async () => {
    fixture.resumable = true
    const tools = await toolsOf(connect({ fix: { url: fixture.url } }))
    fixture.resumable = false
    expect(await call(tools, 'fix_cut')).toEqual({ output: 'after the cut' })
  })

  // The notification of the cancellation left the stream open, until the server ended it.
  it('closes the stream of a call that was cancelled', async () => {
    const tools = await toolsOf(connect({ fix: { url: fixture.url } }))
    const began = new Promise<void>((resolve) => {
      fixture.began = resolve
    })
    const signals: AbortSignal[] = []
    const real = fetch
    vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
      if (String(init?.body).includes('"name":"slow"')) signals.push(init?.signal as AbortSignal)
      return real(input, init)
    })
    const stop = new AbortController()
    const called = call(tools, 'fix_slow', {}, stop.signal)
    await began
    stop.abort()
    expect(await called).toEqual({ error: 'The run has ended.' })
    await vi.waitFor(() => expect(signals.map(({ aborted }) => aborted)).toEqual([true]), 20_000)
  })

  it.each([400, 404])('connects again once if the server answers %i for a session that it forgot', async (status) => {
    const tools = await toolsOf(connect({ fix: { url: fixture.url } }))
    expect(await call(tools, 'fix_echo', { text: 'before' })).toEqual({ output: 'before' })
    fixture.unknownSession = status
    fixture.forget()
    expect(await call(tools, 'fix_echo', { text: 'after' })).toEqual({ output: 'after' })
    fixture.unknownSession = 404
  })
})

describe.each<Era>(['modern', 'legacy'])('a large message, %s', (era) => {
  it('breaks off no other call, and its connection stays usable', async () => {
    const fixture = await McpFixture.start(era)
    const tools = await toolsOf(connect({ fix: { url: fixture.url } }))
    const results = await Promise.all([call(tools, 'fix_big'), call(tools, 'fix_echo', { text: 'x' })])
    expect(results).toEqual([{ error: 'The answer of the MCP server is larger than 4194304 bytes.' }, { output: 'x' }])
    // A list of tools, too.
    const [first] = fixture.tools
    await fixture.change([{ ...first, description: 'x'.repeat(10 * 1024 * 1024) } as typeof first & object])
    const other = await toolsOf(connect({ fix: { url: fixture.url } }))
    expect(other.problem?.('fix_echo')).toMatch(/is not available: its answer is too large/)
    await fixture.dispose()
  })
})

it('limits messages on the stream of the server’s own messages', async () => {
  const fixture = await McpFixture.start('legacy')
  const tools = await toolsOf(connect({ fix: { url: fixture.url } }))
  await fixture.shout(10 * 1024 * 1024)
  expect(await call(tools, 'fix_echo', { text: 'x' })).toEqual({ output: 'x' })
  await fixture.dispose()
})
