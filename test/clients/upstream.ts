// Upstream: a scripted model provider with OpenAI's chat completions. Its answer follows from the request alone: the output
// of a tool, a tool call, an object for a JSON schema, a slow answer, or what it knows of the conversation.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

interface Message {
  readonly role: string
  readonly content: unknown
}

interface Request {
  readonly messages: readonly Message[]
  readonly tools?: readonly { readonly function: { readonly name: string } }[]
  readonly response_format?: { readonly json_schema?: { readonly schema?: unknown } }
}

/** Milliseconds between two pieces of a slow answer. */
const PACE_MS = 100
/** Pieces of a slow answer, and of one that the provider breaks off. */
export const SLOW_PIECES = 40
const BROKEN_PIECES = 3

export class Upstream {
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(): Promise<Upstream> {
    const server = createServer((request, response) => void answer(request, response))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Upstream(server)
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = ''
  for await (const part of request) body += part
  const { messages, tools = [], response_format } = JSON.parse(body) as Request
  const texts = (wanted: string) => messages.filter(({ role }) => role === wanted).map(({ content }) => textOf(content))
  const prompt = texts('user').at(-1) ?? ''
  response.writeHead(200, { 'Content-Type': 'text/event-stream' })
  const send = (delta: object, finish: string | null = null) => {
    const choices = [{ index: 0, delta, finish_reason: finish }]
    const chunk = { id: 'u', object: 'chat.completion.chunk', created: 1, model: 'up', choices }
    response.write(`data: ${JSON.stringify(chunk)}\n\n`)
  }
  const end = (reason: string) => {
    send({}, reason)
    response.end('data: [DONE]\n\n')
  }
  const [tool] = tools
  if (messages.at(-1)?.role === 'tool') {
    send({ role: 'assistant', content: `It is ${texts('tool').at(-1)}.` })
    return end('stop')
  }
  if (tool !== undefined) {
    const { name } = tool.function
    const call = { index: 0, id: 'call_1', type: 'function', function: { name, arguments: '{"city":' } }
    send({ role: 'assistant', tool_calls: [call] })
    send({ tool_calls: [{ index: 0, function: { arguments: '"Oslo"}' } }] })
    return end('tool_calls')
  }
  if (response_format?.json_schema?.schema !== undefined) {
    send({ role: 'assistant', content: '{"city":"Oslo","degrees":12}' })
    return end('stop')
  }
  if (prompt === 'slow' || prompt === 'break off') {
    for (let index = 0; index < (prompt === 'slow' ? SLOW_PIECES : BROKEN_PIECES) && !response.destroyed; index += 1) {
      send({ content: `${index} ` })
      await sleep(PACE_MS)
    }
    return prompt === 'slow' ? end('stop') : void response.destroy()
  }
  const earlier = texts('assistant').join(', ')
  send({ role: 'assistant', content: `Turn ` })
  send({ content: `${texts('user').length}${earlier === '' ? '' : ` after ${earlier}`}` })
  end('stop')
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return (content as { text?: string }[]).map(({ text = '' }) => text).join('')
}
