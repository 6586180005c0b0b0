// CallNote: what the page says about a tool call, in words, and its values as text. Pure.
import type { CallView } from '@parley/client'

export interface CallNote {
  readonly tone: 'busy' | 'ask' | 'plain' | 'failed'
  readonly text: string
}

/** @param connection the page's own connection */
export function callNote(call: CallView, connection: string | undefined): CallNote {
  switch (call.status) {
    case 'deciding':
      return { tone: 'ask', text: 'Needs approval' }
    case 'offered':
      return call.where === 'server'
        ? { tone: 'busy', text: 'Runs on the server' }
        : { tone: 'busy', text: call.attempt > 1 ? 'On offer again' : 'Looks for a device' }
    case 'claimed':
      return { tone: 'busy', text: `Runs ${place(call, call.claim?.connection, connection)}` }
    case 'completed':
      return { tone: 'plain', text: `Ran ${place(call, call.by, connection)}` }
    case 'failed':
      return { tone: 'failed', text: call.decision?.decision === 'deny' ? 'Denied' : 'Failed' }
    case 'dropped':
      return { tone: 'plain', text: 'Not run to its end' }
  }
}

/**
 * Who decided what about a call, and why; undefined while nobody has.
 * @param called what people call a user
 */
export function decisionNote(
  call: CallView,
  user: string | undefined,
  called: (user: string) => string = (other) => other,
): string | undefined {
  const { decision } = call
  if (decision === undefined) return undefined
  const who = decision.by === 'anonymous' ? '' : decision.by === user ? ' by you' : ` by ${called(decision.by)}`
  const why = decision.reason === undefined ? '' : `: ${decision.reason}`
  return `${decision.decision === 'approve' ? 'Approved' : 'Denied'}${who}${why}`
}

/** How much time is left for a decision. @param now Unix milliseconds, by this machine's clock */
export function expiryNote(until: number, now: number): string {
  const seconds = Math.ceil((until - now) / 1_000)
  if (seconds <= 0) return 'Expires now'
  const minutes = Math.floor(seconds / 60)
  if (minutes >= 60) return `Expires in ${Math.floor(minutes / 60)} h ${minutes % 60} min`
  return `Expires in ${minutes}:${String(seconds % 60).padStart(2, '0')}`
}

const SHOWN_MAX = 8_000

/** A value as text: JSON, indented where it does not fit one line, and cut where it is very long. */
export function shownValue(value: unknown): string {
  if (value === undefined) return 'nothing'
  const line = JSON.stringify(value)
  const text = line.length <= 60 ? line : JSON.stringify(value, null, 2)
  if (text.length <= SHOWN_MAX) return text
  return `${text.slice(0, SHOWN_MAX)}\n… ${(text.length - SHOWN_MAX).toLocaleString('en')} more characters`
}

function place(call: CallView, who: string | undefined, connection: string | undefined): string {
  if (call.where === 'server') return 'on the server'
  return who !== undefined && who === connection ? 'in this page' : 'on another device'
}
