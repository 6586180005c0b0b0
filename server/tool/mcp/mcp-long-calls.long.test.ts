// A call of an MCP server that says nothing for longer than the official client waits by default: only `timeoutMs` ends it.
import { afterAll, expect, it } from 'vitest'
import { McpFixture } from './test/mcp-fixture.ts'
import { call, closeServers, connect, toolsOf } from './test/mcp-runs.ts'

afterAll(closeServers)

it('may take longer than a minute, in both versions', async () => {
  const results = (['modern', 'legacy'] as const).map(async (era) => {
    const fixture = await McpFixture.start(era)
    const tools = await toolsOf(connect({ fix: { url: fixture.url, timeoutMs: 120_000 } }))
    const result = await call(tools, 'fix_wait', { ms: 65_000 })
    await fixture.dispose()
    return result
  })
  expect(await Promise.all(results)).toEqual([{ output: 'done' }, { output: 'done' }])
})
