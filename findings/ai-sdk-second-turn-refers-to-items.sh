#!/bin/sh
# Finding: the AI SDK's OpenAI provider sends the assistant's text of an earlier turn as a bare `item_reference`. A server
# that implements the Responses API without storage cannot answer the second turn of generateText's own response.messages.
# With `store: false` in the provider's options the text itself is sent.
# Installs pinned packages into a temporary folder, uses loopback only, and exits 1 if the behaviour has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --ignore-scripts --no-audit --no-fund ai@7.0.173 @ai-sdk/openai@4.0.118 2>/dev/null
cat >finding.mjs <<'JS'
import { createServer } from 'node:http'
import { createOpenAI } from '@ai-sdk/openai'
import { generateText } from 'ai'

const inputs = []
const server = createServer(async (request, response) => {
  let body = ''
  for await (const part of request) body += part
  inputs.push(JSON.parse(body).input)
  const content = [{ type: 'output_text', text: 'Hello', annotations: [] }]
  const output = [{ type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content }]
  const usage = { input_tokens: 1, output_tokens: 1, total_tokens: 2 }
  response.setHeader('Content-Type', 'application/json')
  response.end(JSON.stringify({ id: 'resp_1', object: 'response', created_at: 1, model: 'm', status: 'completed', output, usage }))
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const baseURL = `http://127.0.0.1:${server.address().port}/v1`
const model = createOpenAI({ baseURL, apiKey: 'k' })('m')

async function secondTurn(providerOptions) {
  const question = { role: 'user', content: 'hi' }
  const first = await generateText({ model, messages: [question], providerOptions })
  const messages = [question, ...first.response.messages, { role: 'user', content: 'again' }]
  await generateText({ model, messages, providerOptions })
  return inputs.at(-1)[1]
}

const byDefault = await secondTurn({})
const unstored = await secondTurn({ openai: { store: false } })
server.close()
console.log('ai 7.0.173, @ai-sdk/openai 4.0.118, the assistant in the second turn')
console.log('by default:  ', JSON.stringify(byDefault))
console.log('store: false:', JSON.stringify(unstored))
if (byDefault.type !== 'item_reference' || !JSON.stringify(unstored).includes('Hello')) {
  console.log('changed: an item_reference was expected by default, and the text with store: false')
  process.exit(1)
}
console.log('as described: the text of the first turn is not sent by default')
JS
timeout 60 node finding.mjs
