// CountingProvider: an OpenAI-compatible server that counts the requests of each model call, and the tokens that it bills. Its answers
// follow from the conversation alone: `run=<name>` in the message, and how many tool results came after it.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Model calls of one run. All but the last call tools. */
export const STEPS = 3

interface Message {
  readonly role: string
  readonly content: unknown
}

interface ModelAnswer {
  readonly reasoning: readonly string[]
  readonly text: readonly string[]
  /** The arguments of each call, in pieces. */
  readonly calls: readonly (readonly string[])[]
}

export class CountingProvider {
  /** Requests by run and step. */
  readonly requests = new Map<string, number>()
  /** Tokens that were sent. */
  tokens = 0
  readonly #tokenMs: number
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => void this.#answer(JSON.parse(Buffer.concat(chunks).toString()), response))
  })

  /** @param tokenMs milliseconds between two tokens */
  constructor(tokenMs: number) {
    this.#tokenMs = tokenMs
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`
  }

  /** Model calls for which there was more than one request. */
  get repeated(): string[] {
    return [...this.requests].flatMap(([call, count]) => (count > 1 ? [`${call} ×${count}`] : []))
  }

  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #answer({ messages }: { readonly messages: readonly Message[] }, response: ServerResponse): Promise<void> {
    const asked = messages.findLastIndex(({ role }) => role === 'user')
    const name = /run=(\w+)/.exec(JSON.stringify(messages[asked]?.content))?.[1] ?? 'unknown'
    const results = messages.slice(asked).filter(({ role }) => role === 'tool').length
    const step = results === 0 ? 0 : results < 3 ? 1 : 2
    const call = `${name}:${step}`
    this.requests.set(call, (this.requests.get(call) ?? 0) + 1)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const { reasoning, text, calls } = answerOf(name, step)
    const chunk = (delta: object, finish: string | null = null, usage?: object): void => {
      const choices = [{ index: 0, delta, finish_reason: finish }]
      const event = {
        id: call,
        object: 'chat.completion.chunk',
        created: 1,
        model: 'm',
        choices,
        ...(usage && { usage }),
      }
      response.write(`data: ${JSON.stringify(event)}\n\n`)
    }
    const deltas = [
      ...reasoning.map((content) => ({ reasoning_content: content })),
      ...text.map((content) => ({ content })),
      ...calls.flatMap((pieces, index) =>
        pieces.map((piece, at) => {
          const begins = at === 0 ? { id: `p${index}`, type: 'function' } : {}
          const named = { ...(at === 0 ? { name: 'note' } : {}), arguments: piece }
          return { tool_calls: [{ index, ...begins, function: named }] }
        }),
      ),
    ]
    for (const delta of deltas) {
      await new Promise((resolve) => setTimeout(resolve, this.#tokenMs))
      if (response.destroyed) return
      this.tokens += 1
      chunk(delta)
    }
    const tokens = { prompt_tokens: 10, completion_tokens: deltas.length, total_tokens: 10 + deltas.length }
    chunk({}, calls.length > 0 ? 'tool_calls' : 'stop', tokens)
    response.end('data: [DONE]\n\n')
  }
}

/** Two calls in the first step, one in the second. */
function answerOf(name: string, step: number): ModelAnswer {
  const word = (kind: string, index: number): string =>
    `${createHash('sha256').update(`${name} ${step} ${kind} ${index}`).digest('base64url').slice(0, 6)}é `
  const words = (kind: string, count: number): string[] =>
    Array.from({ length: count }, (_, index) => word(kind, index))
  const calls = Array.from({ length: STEPS - 1 - step }, (_, index) => {
    const [first, second] = words(`call${index}`, 2)
    return ['{"note":"', `${first}`, `${second}`, '"}']
  })
  return { reasoning: words('reasoning', 4), text: words('text', 12), calls }
}

/** The tokens of all answers of a run. */
export function billOf(name: string): number {
  return eachStep(name).reduce(
    (sum, { reasoning, text, calls }) => sum + reasoning.length + text.length + calls.flat().length,
    0,
  )
}

/** The output of a run: reasoning, text and arguments of each step, in order. */
export function outputOf(name: string): string[] {
  return eachStep(name).flatMap(({ reasoning, text, calls }) => [
    reasoning.join(''),
    text.join(''),
    ...calls.map((pieces) => pieces.join('')),
  ])
}

/** The text of a run, without reasoning and arguments. */
export function textOf(name: string): string {
  return eachStep(name)
    .map(({ text }) => text.join(''))
    .join('')
}

function eachStep(name: string): ModelAnswer[] {
  return Array.from({ length: STEPS }, (_, step) => answerOf(name, step))
}
