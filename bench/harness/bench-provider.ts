// The process of a model provider with the chat completions API: `count=… rate=…` in the last message, one HTTP chunk per token, and the
// first token at once. The tokens contain their creation time.
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { stampedToken } from './bench-clock.ts'

interface Stream {
  readonly response: ServerResponse
  readonly count: number
  readonly interval: number
  due: number
  sent: number
}

const TICK_MS = 1
const streams = new Set<Stream>()

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => begin(Buffer.concat(chunks).toString(), response))
})

function begin(body: string, response: ServerResponse): void {
  const { messages } = JSON.parse(body) as { readonly messages: readonly unknown[] }
  const text = JSON.stringify(messages.at(-1))
  const number = (name: string, otherwise: number): number =>
    Number(new RegExp(`${name}=([\\d.]+)`).exec(text)?.[1] ?? otherwise)
  const interval = 1_000 / number('rate', 10)
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const stream = { response, count: number('count', 100), interval, due: performance.now(), sent: 0 }
  response.on('close', () => streams.delete(stream))
  emit(stream)
  // A random phase spreads the tokens over one interval.
  stream.due += Math.random() * interval
  streams.add(stream)
}

function emit(stream: Stream): void {
  const { response, count, interval } = stream
  write(response, { delta: { content: stampedToken() }, finish_reason: null })
  stream.sent += 1
  stream.due += interval
  if (stream.sent < count) return
  streams.delete(stream)
  write(response, { delta: {}, finish_reason: 'stop' })
  response.end('data: [DONE]\n\n')
}

function write(response: ServerResponse, choice: object): void {
  const event = { id: 'bench', object: 'chat.completion.chunk', created: 1, model: 'bench' }
  response.write(`data: ${JSON.stringify({ ...event, choices: [{ index: 0, ...choice }] })}\n\n`)
}

setInterval(() => {
  const now = performance.now()
  for (const stream of streams) if (stream.due <= now) emit(stream)
}, TICK_MS)

process.on('disconnect', () => process.exit(0))
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
