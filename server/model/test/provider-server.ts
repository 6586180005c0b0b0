// A test provider: a real HTTP server on 127.0.0.1 with scripted answers. It reports when a request's connection closes.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { LanguageModelV3CallOptions, LanguageModelV3Prompt, LanguageModelV3StreamPart } from '@ai-sdk/provider'
import type { Model } from '../model.ts'

/** What tests inspect. */
export interface ProviderRequestBody {
  readonly messages?: readonly { readonly content: unknown }[]
  readonly tools?: readonly { readonly function: { readonly name: string } }[]
  readonly max_tokens?: number
  readonly response_format?: unknown
}

export interface ProviderRequest {
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: ProviderRequestBody
  /** The body as it was sent. */
  readonly text: string
  readonly response: ServerResponse
  /** Resolves when the connection is closed. */
  readonly closed: Promise<void>
}

export interface ProviderServer {
  readonly url: string
  readonly requests: ProviderRequest[]
  /** Resolves with the next request. */
  next(): Promise<ProviderRequest>
  stop(): Promise<void>
}

export async function startProviderServer(answer: (request: ProviderRequest) => void): Promise<ProviderServer> {
  const requests: ProviderRequest[] = []
  const waiting: ((request: ProviderRequest) => void)[] = []
  const server = createServer((message, response) => {
    const closed = new Promise<void>((resolve) => response.once('close', () => resolve()))
    const chunks: Buffer[] = []
    message.on('data', (chunk: Buffer) => chunks.push(chunk))
    message.on('end', () => {
      const text = Buffer.concat(chunks).toString()
      const body = JSON.parse(text) as ProviderRequestBody
      const request = { path: message.url ?? '', headers: message.headers, body, text, response, closed }
      requests.push(request)
      answer(request)
      for (const resolve of waiting.splice(0)) resolve(request)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    next: () => new Promise((resolve) => waiting.push(resolve)),
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

export function beginSse(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.flushHeaders()
}

/** One event per value; a string is sent unchanged. `name` returns the event's name, if it has one. */
export function sendSse(response: ServerResponse, events: readonly unknown[], name?: (event: unknown) => string): void {
  for (const event of events) {
    const label = name === undefined ? '' : `event: ${name(event)}\n`
    response.write(`${label}data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`)
  }
}

/** A chunk of an answer in the form of OpenAI's chat completions. */
export function chatChunk(delta: object, finish: string | null = null, usage?: object): object {
  const choices = [{ index: 0, delta, finish_reason: finish }]
  return { id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm', choices, ...(usage && { usage }) }
}

export function userPrompt(text: string): LanguageModelV3Prompt {
  return [{ role: 'user', content: [{ type: 'text', text }] }]
}

export interface ReceivedAnswer {
  readonly text: string
  readonly reasoning: string
  readonly calls: readonly { name: string; input: unknown }[]
  readonly parts: readonly LanguageModelV3StreamPart[]
  readonly finish: Extract<LanguageModelV3StreamPart, { type: 'finish' }> | undefined
  /** The error that the stream threw, or that its error part contains. */
  readonly error: unknown
}

/** Reads a model's complete answer. */
export async function readAnswer(
  model: Model,
  options: string | LanguageModelV3CallOptions,
  onPart?: (part: LanguageModelV3StreamPart) => void,
): Promise<ReceivedAnswer> {
  const parts: LanguageModelV3StreamPart[] = []
  let error: unknown
  try {
    const call = typeof options === 'string' ? { prompt: userPrompt(options) } : options
    const { stream } = await model.language.doStream(call)
    const reader = stream.getReader()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      parts.push(value)
      if (value.type === 'error') error = value.error
      onPart?.(value)
    }
  } catch (thrown) {
    error = thrown
  }
  const join = (type: 'text-delta' | 'reasoning-delta'): string =>
    parts.map((part) => (part.type === type && 'delta' in part ? part.delta : '')).join('')
  return {
    text: join('text-delta'),
    reasoning: join('reasoning-delta'),
    calls: parts.flatMap((part) =>
      part.type === 'tool-call' ? [{ name: part.toolName, input: JSON.parse(part.input) as unknown }] : [],
    ),
    parts,
    finish: parts.find((part) => part.type === 'finish'),
    error,
  }
}
