// A peer: SSE on node:http with resumable-stream. The process that generates a stream keeps its text; a client that
// resumes requests it from a character position over publish/subscribe. Here publish/subscribe is in memory instead of
// Redis, so the figures do not include the cost of Redis.
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createResumableStreamContext, type Publisher, type Subscriber } from 'resumable-stream/generic'
import { outputOf, servePeer } from './peer-source.ts'

const listeners = new Map<string, (message: string) => void>()
const values = new Map<string, string>()

const subscriber: Subscriber = {
  connect: async () => undefined,
  subscribe: async (channel, listener) => {
    listeners.set(channel, listener)
  },
  unsubscribe: async (channel) => listeners.delete(channel),
}

const publisher: Publisher = {
  connect: async () => undefined,
  publish: async (channel, message) => {
    listeners.get(channel)?.(message)
    return 1
  },
  set: async (key, value) => {
    values.set(key, value)
    return 'OK'
  },
  get: async (key) => values.get(key) ?? null,
  incr: async (key) => {
    const value = Number(values.get(key) ?? 0) + 1
    values.set(key, String(value))
    return value
  },
}

const context = createResumableStreamContext({ waitUntil: () => undefined, subscriber, publisher })
const sources = new Map<string, ReadableStreamDefaultController<string>>()

async function answer(topic: string, skip: number, response: ServerResponse): Promise<void> {
  const stream = await context.resumableStream(
    topic,
    () => new ReadableStream<string>({ start: (controller) => void sources.set(topic, controller) }),
    skip,
  )
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
  response.flushHeaders()
  if (stream === null) {
    response.end()
    return
  }
  const reader = stream.getReader()
  response.on('close', () => {
    reader.cancel().catch((error: unknown) => console.error('cancelling a stream failed:', error))
  })
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    response.write(value)
  }
  response.end()
}

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '', 'http://localhost')
  answer(url.pathname.slice(1), Number(url.searchParams.get('skip') ?? 0), response).catch((error: unknown) => {
    console.error('a stream failed:', error)
    response.destroy()
  })
})
server.listen({ host: '127.0.0.1', port: 0, backlog: 4_096 }, () => {
  servePeer((server.address() as AddressInfo).port, (topic, index) => {
    sources.get(`t${topic}`)?.enqueue(`data: ${outputOf(topic, index)}\n\n`)
  })
})
