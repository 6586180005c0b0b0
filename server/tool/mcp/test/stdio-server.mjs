// An MCP server over stdio, of the official package. Its first argument names how it behaves: `silent` never answers, `modern` speaks
// the newest version only.
import { appendFileSync } from 'node:fs'
import { McpServer } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import * as z from 'zod'

// For tests that count its starts.
if (process.env.STARTS !== undefined) appendFileSync(process.env.STARTS, 'started\n')
const [mode] = process.argv.slice(2)
const text = (value) => ({ content: [{ type: 'text', text: value }] })

function build({ era }) {
  const server = new McpServer({ name: 'stdio', version: '1' })
  server.registerTool('add', { inputSchema: z.object({ a: z.number(), b: z.number() }) }, async ({ a, b }) =>
    text(String(a + b)),
  )
  server.registerTool('env', {}, async () =>
    text(`${era} ${process.env.GIVEN} ${process.env.PARLEY_SECRET} ${process.pid}`),
  )
  server.registerTool('ask', {}, async (context) => {
    const requestedSchema = { type: 'object', properties: { name: { type: 'string' } } }
    return text(JSON.stringify(await context.mcpReq.elicitInput({ message: 'Who?', requestedSchema })))
  })
  server.registerTool('die', {}, async () => process.exit(1))
  server.registerTool('big', {}, async () => text('x'.repeat(10 * 1024 * 1024)))
  return server
}

if (mode === 'silent') process.stdin.resume()
else serveStdio(build, mode === 'modern' ? { legacy: 'reject' } : {})
