#!/bin/sh
# Finding: the official MCP client does not end a call of the version 2026-07-28 when the stream of its answer breaks. `onerror` fires,
# but the call waits for its timeout, 60 s by default, although nothing can answer it any longer: that version has no resumption.
# A host can end the call itself: the transport calls `onRequestStreamEnd`, an option of its `send`, at once.
# Installs pinned packages into a temporary folder, uses loopback only, and exits 1 if the behaviour has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --ignore-scripts --no-audit --no-fund @modelcontextprotocol/client@2.4.0 @modelcontextprotocol/server@2.4.0 @modelcontextprotocol/node@2.1.2 2>/dev/null
cat >finding.mjs <<'JS'
import { createServer } from 'node:http'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'

const TIMEOUT_MS = 3_000
const handler = createMcpHandler(
  () => {
    const server = new McpServer({ name: 'server', version: '1' })
    server.registerTool('forever', {}, async ({ mcpReq }) => {
      // The head of the answer leaves with it.
      await mcpReq.notify({ method: 'notifications/progress', params: { ...mcpReq._meta, progress: 1 } })
      return new Promise(() => undefined)
    })
    return server
  },
  { responseMode: 'sse' },
)
const http = createServer(toNodeHandler(handler))
await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve))

let [brokenAt, streamEndedAt] = [0, 0]
class Transport extends StreamableHTTPClientTransport {
  send(message, options) {
    const isCall = message.method === 'tools/call'
    const onRequestStreamEnd = () => (streamEndedAt = isCall ? performance.now() : 0)
    return super.send(message, { ...options, onRequestStreamEnd })
  }
}
const transport = new Transport(new URL(`http://127.0.0.1:${http.address().port}/`), {
  fetch: async (url, init) => {
    const response = await fetch(url, init)
    if (!String(init.body).includes('tools/call')) return response
    brokenAt = performance.now()
    http.closeAllConnections()
    return response
  },
})
const client = new Client({ name: 'client', version: '1' }, { versionNegotiation: { mode: 'auto' } })
await client.connect(transport)
const error = await client.callTool({ name: 'forever' }, { timeout: TIMEOUT_MS, onprogress() {} }).catch((reason) => reason)
const waited = Math.round(performance.now() - brokenAt)
console.log(`@modelcontextprotocol/client 2.4.0, version ${client.getNegotiatedProtocolVersion()}`)
console.log(`the transport knew after ${Math.round(streamEndedAt - brokenAt)} ms; the call ended after ${waited} ms: ${error.code}`)
const isSame = error.code === 'REQUEST_TIMEOUT' && waited > TIMEOUT_MS / 2 && streamEndedAt > 0
console.log(isSame ? 'as described: the call waits for its timeout' : 'changed: the call ends when its stream breaks')
process.exit(isSame ? 0 : 1)
JS
timeout 60 node finding.mjs
