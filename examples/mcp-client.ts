// The MCP endpoint: the official MCP client asks the agent, in both generations of the protocol, and continues the conversation.
import assert from 'node:assert/strict'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { withServer } from './server.ts'

await withServer(async (url) => {
  for (const mode of ['legacy', 'auto'] as const) {
    const client = new Client({ name: 'example', version: '1.0.0' }, { versionNegotiation: { mode } })
    await client.connect(new StreamableHTTPClientTransport(new URL('/mcp', url)))
    const { tools } = await client.listTools()
    assert.ok(tools.some(({ name }) => name === 'ask'))

    let streamed = ''
    const first = await client.callTool(
      { name: 'ask', arguments: { message: '/demo count=10 rate=50 ttft=200' } },
      {
        onprogress: ({ message = '' }) => {
          process.stdout.write(message)
          streamed += message
        },
        // Otherwise a call fails after 60 seconds.
        resetTimeoutOnProgress: true,
      },
    )
    process.stdout.write('\n')
    const { session, text } = first.structuredContent as { session: string; text: string }
    assert.equal(text, '0 1 2 3 4 5 6 7 8 9')
    assert.equal(streamed, text)

    await client.callTool({ name: 'ask', arguments: { message: '/demo count=3 rate=0', session } })
    const { contents } = await client.readResource({ uri: `parley://sessions/${session}` })
    const [conversation] = contents
    assert.ok(conversation !== undefined && 'text' in conversation && conversation.text.endsWith('0 1 2'))
    await client.close()
  }
})
