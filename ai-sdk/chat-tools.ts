// ChatTools: the tools that a transport offers, and the calls that wait for the chat. A tool without `execute` is
// answered by the chat's own code, with `addToolOutput`: its calls stay claimed by this client until then.
import { type CallView, type ClientTool, type ParleyClient, tool } from '@parley/client'
import type { CallOwner } from './answer-chunks.ts'

/** A tool of this client. Without `execute`, `onToolCall` gets its calls, and `addToolOutput` answers them. */
export type ChatTool = ClientTool | Omit<ClientTool, 'execute'>

interface Waiting {
  resolve(output: unknown): void
  reject(error: Error): void
}

export class ChatTools {
  /** For a session. */
  readonly tools: readonly ClientTool[]
  readonly #client: ParleyClient
  /** The names of the tools that the chat answers. */
  readonly #names: ReadonlySet<string>
  /** By call: what its tool waits for. */
  readonly #waiting = new Map<string, Waiting>()
  readonly #listeners = new Set<() => void>()

  constructor(client: ParleyClient, tools: readonly ChatTool[]) {
    this.#client = client
    this.#names = new Set(tools.filter((each) => !('execute' in each)).map(({ name }) => name))
    this.tools = tools.map((each) => tool('execute' in each ? each : { ...each, execute: this.#wait }))
  }

  owner(call: CallView): CallOwner {
    const { id, name, where, status, claim } = call
    if (where !== 'client' || !this.#names.has(name)) return 'elsewhere'
    if (this.#waiting.has(id)) return 'chat'
    const { connection } = this.#client.state
    return status === 'offered' || (status === 'claimed' && claim?.connection === connection) ? 'unknown' : 'elsewhere'
  }

  /** @returns whether the call waited for it */
  answer(call: string, outcome: { readonly output: unknown } | { readonly errorText: string }): boolean {
    const waiting = this.#waiting.get(call)
    if (waiting === undefined) return false
    this.#waiting.delete(call)
    if ('output' in outcome) waiting.resolve(outcome.output)
    else waiting.reject(new Error(outcome.errorText))
    return true
  }

  /** Calls the listener when a call begins to wait for the chat. @returns a function that unsubscribes */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  readonly #wait: ClientTool['execute'] = (_input, { call, signal }) =>
    new Promise((resolve, reject) => {
      this.#waiting.set(call, { resolve, reject })
      signal.addEventListener('abort', () => {
        this.#waiting.delete(call)
        reject(signal.reason)
      })
      for (const listener of [...this.#listeners]) listener()
    })
}
