// AgentServer: a remote agent on 127.0.0.1 whose answers the test writes, event by event or byte by byte.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

type Json = Readonly<Record<string, unknown>>

/** What tests inspect of a request. */
export interface AgentInput {
  readonly threadId: string
  readonly runId: string
  readonly protocolVersion: string
  readonly state: unknown
  readonly messages: readonly (Json & { readonly id: string; readonly role: string })[]
  readonly tools: readonly { readonly name: string }[]
  readonly forwardedProps: Json
  readonly resume?: readonly Json[]
}

export class AgentRequest {
  readonly input: AgentInput
  readonly headers: IncomingMessage['headers']
  readonly response: ServerResponse
  /** Resolves when the connection is closed. */
  readonly closed: Promise<unknown>

  constructor(message: IncomingMessage, body: string, response: ServerResponse) {
    this.input = JSON.parse(body) as AgentInput
    this.headers = message.headers
    this.response = response
    this.closed = once(response, 'close')
  }

  write(text: string): this {
    if (!this.response.headersSent) this.response.writeHead(200, { 'content-type': 'text/event-stream' })
    this.response.write(text)
    return this
  }

  send(type: string, fields: Json = {}): this {
    return this.write(`data: ${JSON.stringify({ type, ...fields })}\n\n`)
  }

  begin(): this {
    return this.send('RUN_STARTED', { threadId: this.input.threadId, runId: this.input.runId })
  }

  text(text: string, messageId = 'm1'): this {
    return this.send('TEXT_MESSAGE_START', { messageId, role: 'assistant' })
      .send('TEXT_MESSAGE_CONTENT', { messageId, delta: text })
      .send('TEXT_MESSAGE_END', { messageId })
  }

  call(toolCallId: string, toolCallName: string, input: unknown, more: Json = {}): this {
    return this.send('TOOL_CALL_START', { toolCallId, toolCallName, ...more })
      .send('TOOL_CALL_ARGS', { toolCallId, delta: JSON.stringify(input) })
      .send('TOOL_CALL_END', { toolCallId })
  }

  result(toolCallId: string, content: unknown): this {
    return this.send('TOOL_CALL_RESULT', { messageId: `${toolCallId}_r`, toolCallId, content })
  }

  finish(fields: Json = {}): void {
    this.send('RUN_FINISHED', { threadId: this.input.threadId, runId: this.input.runId, ...fields })
    this.response.end()
  }

  answer(status: number, headers: Readonly<Record<string, string>> = {}, body = ''): void {
    this.response.writeHead(status, headers).end(body)
  }

  cut(): void {
    this.response.destroy()
  }
}

export class AgentServer {
  readonly requests: AgentRequest[] = []
  #taken = 0
  #waiting: ((request: AgentRequest) => void)[] = []
  readonly #server = createServer((message, response) => {
    const chunks: Buffer[] = []
    message.on('data', (chunk: Buffer) => chunks.push(chunk))
    message.on('end', () => {
      const request = new AgentRequest(message, Buffer.concat(chunks).toString(), response)
      this.requests.push(request)
      this.#waiting.shift()?.(request)
    })
  })

  static async start(): Promise<AgentServer> {
    const server = new AgentServer()
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/agent`
  }

  async next(): Promise<AgentRequest> {
    const request = this.requests[this.#taken]
    this.#taken += 1
    return request ?? new Promise((resolve) => this.#waiting.push(resolve))
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}
