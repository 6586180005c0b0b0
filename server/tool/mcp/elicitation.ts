// Elicitation: what the tools of MCP servers ask a person becomes a question of the call (ADR 56).
import { AsyncLocalStorage } from 'node:async_hooks'
import { cutText, type FormSchema, LIMITS } from '@parley/protocol'
import { z } from 'zod'
import { type ToolContext, ToolFailure } from '../define-tool.ts'

export type Asking = Pick<ToolContext, 'ask' | 'session' | 'run'>

/** The parameters of `elicitation/create`. */
const Form = z.looseObject({
  mode: z.string().optional(),
  message: z.string(),
  requestedSchema: z.unknown().optional(),
})

/** What `elicitation/create` is answered with. */
export type ElicitResult =
  | { readonly action: 'decline' | 'cancel' }
  | { readonly action: 'accept'; readonly content: Record<string, string | number | boolean | string[]> }

/** The calls of one connection. A question over it belongs to one of them. */
export class AskingCalls {
  readonly #calls = new Set<Asking>()
  /** Follows the requests and the streams of a call. */
  readonly #current = new AsyncLocalStorage<Asking>()

  /** Runs a call that may ask. */
  async during<T>(call: Asking, work: () => Promise<T>): Promise<T> {
    this.#calls.add(call)
    try {
      return await this.#current.run(call, work)
    } finally {
      this.#calls.delete(call)
    }
  }

  /** Asks in the call that the question came with. @throws ToolFailure if the question is not a form, or the call is unknown */
  async ask(params: unknown): Promise<ElicitResult> {
    const call = this.#current.getStore() ?? this.#only()
    if (call === undefined) throw new ToolFailure('The server does not say which of several calls asks.')
    return askedBy(call, params)
  }

  /** Over stdio, nothing says which call asks. Calls of one run ask the same people. */
  #only(): Asking | undefined {
    const [first, ...others] = this.#calls
    return others.every(({ session, run }) => session === first?.session && run === first.run) ? first : undefined
  }
}

/** @throws ToolFailure if it is not a form that a question may have */
export async function askedBy({ ask }: Pick<Asking, 'ask'>, params: unknown): Promise<ElicitResult> {
  const parsed = Form.safeParse(params)
  if (!parsed.success) throw new ToolFailure('The MCP server asks a person something that is not a form.')
  const { mode = 'form', message, requestedSchema } = parsed.data
  if (mode !== 'form') throw new ToolFailure(OPENS_LINK)
  // The question is refused if its schema is not such a form.
  const schema = (requestedSchema ?? { type: 'object', properties: {} }) as FormSchema
  const answer = await ask({ message: cutText(message, LIMITS.questionChars), schema })
  return answer.action === 'accept' ? { action: 'accept', content: answer.content } : { action: answer.action }
}

export const OPENS_LINK = 'The tool needs a person to open a link of its server. This server does not show such links.'
