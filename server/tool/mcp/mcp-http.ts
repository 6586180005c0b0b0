// McpHttp: the official transport over Streamable HTTP, with what it lacks: a limit on the size of messages, an error for a request
// whose stream ended without an answer, and an end for the stream of a request that was cancelled.
import { type JSONRPCMessage, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { ToolFailure } from '../define-tool.ts'

/** Bytes of one message. */
const MESSAGE_BYTES = 4 * 1024 * 1024
/** The code of our own error responses. */
export const ENDED = -1
export const TOO_LARGE = `The answer of the MCP server is larger than ${MESSAGE_BYTES} bytes.`
export const LOST = 'The connection to the MCP server broke during the call. The tool may have taken effect.'

type SendOptions = Parameters<StreamableHTTPClientTransport['send']>[1]
type RequestId = string | number

export class McpHttpTransport extends StreamableHTTPClientTransport {
  readonly #large: Set<RequestId>
  /** The streams of requests without an answer. */
  readonly #open = new Map<RequestId, AbortController>()

  constructor(url: string, headers: Readonly<Record<string, string>>) {
    const large = new Set<RequestId>()
    super(new URL(url), { requestInit: { headers }, fetch: (input, init) => limitedFetch(input, init, large) })
    this.#large = large
  }

  override async send(message: JSONRPCMessage, options?: SendOptions): Promise<void> {
    if (!('method' in message)) return super.send(message, options)
    if (!('id' in message)) return this.#notify(message, options)
    if (options?.onRequestStreamEnd !== undefined) return super.send(message, options)
    const { id } = message
    const stream = new AbortController()
    this.#open.set(id, stream)
    const onRequestStreamEnd = (): void => {
      const text = this.#large.delete(id) ? TOO_LARGE : LOST
      // The official client ignores it if the answer came before.
      this.onmessage?.({ jsonrpc: '2.0', id, error: { code: ENDED, message: text } })
    }
    try {
      const requestSignal = options?.requestSignal ?? stream.signal
      await super.send(message, { ...options, requestSignal, onRequestStreamEnd })
    } catch (error) {
      this.#open.delete(id)
      throw error
    }
  }

  /** The request has its answer. */
  answered(id: RequestId): void {
    this.#open.delete(id)
    this.#large.delete(id)
  }

  /** The older version cancels a request by a notification, and leaves its stream open. */
  async #notify(message: JSONRPCMessage & { readonly method: string }, options: SendOptions): Promise<void> {
    try {
      await super.send(message, options)
    } finally {
      const params = 'params' in message ? message.params : undefined
      const id = message.method === 'notifications/cancelled' ? (params?.requestId as RequestId | undefined) : undefined
      if (id !== undefined) {
        this.#open.get(id)?.abort()
        this.answered(id)
      }
    }
  }
}

/** Breaks off an answer with a message that is too large. The official client follows redirects, only within the origin. */
async function limitedFetch(
  input: string | URL,
  init: RequestInit | undefined,
  large: Set<RequestId>,
): Promise<Response> {
  const response = await fetch(input, init)
  if (response.body === null) return response
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true
  let bytes = 0
  const counted = response.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        // An event ends with an empty line.
        const end = isStream ? lastEmptyLine(chunk) : -1
        const begun = end < 0 ? chunk.byteLength : end
        if (bytes + begun > MESSAGE_BYTES) {
          const id = requestIdOf(init)
          if (id !== undefined) large.add(id)
          controller.error(new ToolFailure(TOO_LARGE))
          return
        }
        bytes = end < 0 ? bytes + chunk.byteLength : chunk.byteLength - end
        controller.enqueue(chunk)
      },
    }),
  )
  const { status, statusText, headers } = response
  return new Response(counted, { status, statusText, headers })
}

/** The index of the last empty line in a part of a stream, or -1. Lines end with LF or CRLF. */
function lastEmptyLine(chunk: Uint8Array): number {
  const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  return Math.max(text.lastIndexOf('\n\n'), text.lastIndexOf('\n\r\n'))
}

function requestIdOf(init: RequestInit | undefined): RequestId | undefined {
  if (init?.method !== 'POST' || typeof init.body !== 'string') return undefined
  return (JSON.parse(init.body) as { id?: RequestId }).id
}
