// Outgoing: a message as it is sent, and as it is shown until the log has it. Pure.
import type { Content, Context, Part, Policy, Seen, Send } from '@parley/protocol'
import { parentOfNext } from './branch.ts'
import { type PendingSend, type SessionView, textOf } from './session-view.ts'

export interface SendOptions {
  /** What becomes of a run that is active: default `queue`, after it. */
  readonly policy?: Policy
  readonly model?: string
  readonly agent?: string
  /** What the person saw of a run: the model's context is cut there. */
  readonly seen?: Seen
  /**
   * The message after whose answer it stands; null: it begins a conversation. Left out: the newest of the session, or of the
   * branch that was chosen.
   */
  readonly parent?: string | null
  /** What it brings along for its run. */
  readonly context?: Context
  /** The span that it is a part of, as W3C's `traceparent`: a server that records traces goes on from there. */
  readonly trace?: string
  /** The message's id, for one that may have been sent before, by a page that is gone: it takes effect once. */
  readonly id?: string
}

/** What a header can carry. */
const HEADER_TEXT = /^[\x21-\x7e]{1,256}$/

export function sendFrame(
  view: SessionView,
  id: string,
  content: Content,
  options: SendOptions,
  time: number,
): { readonly frame: Send; readonly pending: PendingSend } {
  const parts: readonly Part[] = typeof content === 'string' ? [{ type: 'text', text: content }] : content
  const { policy, model, agent, seen, context, trace } = options
  // One that may have been sent before is sent as it was.
  const parent = options.parent === undefined && options.id === undefined ? parentOfNext(view) : options.parent
  const stands = parent === undefined ? {} : { parent }
  const frame: Send = {
    type: 'send',
    id,
    session: view.id,
    content,
    ...(policy === undefined ? {} : { policy }),
    ...(model === undefined ? {} : { model }),
    ...(agent === undefined ? {} : { agent }),
    ...(seen === undefined ? {} : { seen }),
    ...(context === undefined ? {} : { context }),
    ...(trace !== undefined && HEADER_TEXT.test(trace) ? { trace } : {}),
    ...stands,
  }
  return { frame, pending: { id, content: parts, text: textOf(parts), policy: policy ?? 'queue', time, ...stands } }
}
