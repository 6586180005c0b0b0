#!/bin/sh
# Finding: the AI SDK looks the names of called tools up in a plain object. A tool that is named like an inherited member (`valueOf`,
# `constructor`) is declared and can be called, but Anthropic's provider leaves the call out of the next request and sends its result alone,
# which the service refuses. OpenAI's provider sends an object as the name of a call of `__proto__`.
# Installs pinned packages into a temporary folder, uses loopback only, and exits 1 if the behaviour has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --ignore-scripts --no-audit --no-fund @ai-sdk/anthropic@3.0.139 @ai-sdk/openai@3.0.141 2>/dev/null
cat >finding.mjs <<'JS'
import { createServer } from 'node:http'
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'

let sent
const server = createServer(async (request, response) => {
  let body = ''
  for await (const part of request) body += part
  sent = JSON.parse(body)
  response.writeHead(400, { 'Content-Type': 'application/json' }).end('{"error":{"message":"read, and not answered"}}')
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const settings = { baseURL: `http://127.0.0.1:${server.address().port}`, apiKey: 'k' }

async function callOf(model, toolName) {
  const call = { type: 'tool-call', toolCallId: 'c1', toolName, input: {} }
  const result = { type: 'tool-result', toolCallId: 'c1', toolName, output: { type: 'text', value: 'done' } }
  const prompt = [
    { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
    { role: 'assistant', content: [call] },
    { role: 'tool', content: [result] },
  ]
  const tools = [{ type: 'function', name: toolName, inputSchema: { type: 'object' } }]
  sent = undefined
  await model.doStream({ prompt, tools }).catch(() => undefined)
  const items = sent.input ?? sent.messages.flatMap(({ content }) => content)
  const sentCall = items.find(({ type }) => type === 'tool_use' || type === 'function_call')
  return { declared: sent.tools[0].name, called: sentCall === undefined ? 'no call' : sentCall.name }
}

const anthropic = createAnthropic(settings)('m')
const openai = createOpenAI(settings)('m')
const found = [
  ['anthropic, weather', await callOf(anthropic, 'weather')],
  ['anthropic, valueOf', await callOf(anthropic, 'valueOf')],
  ['openai, __proto__ ', await callOf(openai, '__proto__')],
]
server.close()
console.log('@ai-sdk/anthropic 3.0.139, @ai-sdk/openai 3.0.141')
for (const [name, names] of found) console.log(`${name}: ${JSON.stringify(names)}`)
const [plain, inherited, proto] = found.map(([, { called }]) => called)
if (plain !== 'weather' || inherited !== 'no call' || typeof proto !== 'object') {
  console.log('changed: no call of valueOf was expected, and an object as the name of __proto__')
  process.exit(1)
}
console.log('as described: the calls of inherited names are lost')
JS
timeout 60 node finding.mjs
