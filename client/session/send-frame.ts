// sendFrame: the command that sends a message, and the pending message to show until it is in the log. Pure.
import type { Content, Context, Part, Policy, Seen, Send } from '@parley/protocol'
import { given } from '../given.ts'
import { parentOfNext } from './branch.ts'
import { type PendingSend, type SessionView, textOf } from './session-view.ts'

export interface SendOptions {
  /** What happens to the active run. Default `queue`: the message's run starts after it. */
  readonly policy?: Policy
  /** A model that the server offers; default: the server's default model. */
  readonly model?: string
  /** An agent that the server configures. */
  readonly agent?: string
  /** How much of a run the person has seen. The model's context ends there. */
  readonly seen?: Seen
  /**
   * The message whose answer it follows; `null` starts a conversation. Default: the newest message of the session, or
   * of the chosen branch.
   */
  readonly parent?: string | null
  /** History, instructions, tools and sampling options for this message's run. */
  readonly context?: Context
  /** The parent span as W3C `traceparent`. A server that records traces continues the trace. */
  readonly trace?: string
  /** The message's id, if an earlier page may already have sent it. It takes effect once. */
  readonly id?: string
}

/** The characters that a header can carry. */
const HEADER_TEXT = /^[\x21-\x7e]{1,256}$/

export function sendFrame(
  view: SessionView,
  id: string,
  content: Content,
  options: SendOptions,
  time: number,
): { readonly frame: Send; readonly pending: PendingSend } {
  const parts: readonly Part[] = typeof content === 'string' ? [{ type: 'text', text: content }] : content
  const { policy, model, agent, seen, context, trace = '' } = options
  // A message that an earlier page may have sent must be identical.
  const parent = options.parent === undefined && options.id === undefined ? parentOfNext(view) : options.parent
  const frame: Send = {
    type: 'send',
    id,
    session: view.id,
    content,
    policy,
    model,
    agent,
    seen,
    context,
    trace: HEADER_TEXT.test(trace) ? trace : undefined,
    parent,
  }
  const pending: PendingSend = {
    id,
    content: parts,
    text: textOf(parts),
    policy: policy ?? 'queue',
    time,
    ...given({ agent, parent }),
  }
  return { frame, pending }
}
