// CallNote: what the page says about a tool call, and how it formats the call's values. Pure.

import { type CallView, openQuestion, type QuestionView } from '@parley/client'
import { cutText } from '@parley/protocol/cut-text'
import { choicesOf } from '@parley/protocol/form/form-check'
import { displayText } from '../shared/display-text.ts'

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
        ? { tone: 'busy', text: 'Running on the server' }
        : { tone: 'busy', text: call.attempt > 1 ? 'Retrying on another device' : 'Waiting for a device' }
    case 'claimed':
      if (openQuestion(call) !== undefined) return { tone: 'ask', text: 'Asks a question' }
      return { tone: 'busy', text: `Running ${place(call, call.claim?.connection, connection)}` }
    case 'completed':
      return { tone: 'plain', text: `Ran ${place(call, call.by, connection)}` }
    case 'failed':
      return { tone: 'failed', text: call.decision?.decision === 'deny' ? 'Denied' : 'Failed' }
    case 'dropped':
      return { tone: 'plain', text: 'Didn’t finish' }
  }
}

/**
 * The decision about a call, with its author and reason; undefined while there is none.
 * @param displayName a user's name
 */
export function decisionNote(
  call: CallView,
  user: string | undefined,
  displayName: (user: string) => string = (other) => other,
): string | undefined {
  const { decision } = call
  if (decision === undefined) return undefined
  const who = decision.by === 'anonymous' ? '' : decision.by === user ? ' by you' : ` by ${displayName(decision.by)}`
  const why = decision.reason === undefined ? '' : `: ${decision.reason}`
  return formatText(`${decision.decision === 'approve' ? 'Approved' : 'Denied'}${who}${why}`)
}

/** The answer to a question, with its author; undefined while there is none. @param displayName a user's name */
export function answerNote(
  { answer, schema }: QuestionView,
  user: string | undefined,
  displayName: (user: string) => string,
): string | undefined {
  if (answer === undefined) return undefined
  const { action, by, content = {} } = answer
  if (by === 'server') return 'Nobody answered in time'
  const who = by === 'anonymous' ? '' : by === user ? ' by you' : ` by ${displayName(by)}`
  if (action !== 'accept') return `${action === 'decline' ? 'Declined' : 'Dismissed'}${who}`
  const values = Object.entries(content).map(([name, value]) => {
    const field = Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined
    const titles = new Map(field === undefined ? [] : choicesOf(field)?.map((choice) => [choice.value, choice.title]))
    const shown = [value].flat().map((one) => titles.get(String(one)) ?? String(one))
    return `${field?.title ?? name}: ${shown.join(', ')}`
  })
  return formatText(`Answered${who}${values.length === 0 ? '' : `: ${values.join('; ')}`}`)
}

/** What a call asks another agent. */
export function askedMessage({ input }: CallView): string {
  const { message } = (input ?? {}) as { readonly message?: unknown }
  return typeof message === 'string' ? message : formatValue(input)
}

/** The time that remains for a decision. @param now Unix milliseconds, by this machine's clock */
export function expiryNote(until: number, now: number): string {
  const seconds = Math.ceil((until - now) / 1_000)
  if (seconds <= 0) return 'Expires now'
  const minutes = Math.floor(seconds / 60)
  if (minutes >= 60) return `Expires in ${Math.floor(minutes / 60)} h ${minutes % 60} min`
  return `Expires in ${minutes}:${String(seconds % 60).padStart(2, '0')}`
}

const MAX_CHARACTERS = 8_000

/** A value as JSON. It is indented if it does not fit on one line, and truncated if it is very long. */
export function formatValue(value: unknown): string {
  const line = toJson(value)
  return truncate(line.length <= 60 ? line : toJson(value, 2), MAX_CHARACTERS)
}

/** A text of a tool, a model or a user as the page shows it. It is truncated if it is very long. */
export function formatText(text: string): string {
  return displayText(truncate(text, MAX_CHARACTERS))
}

/** Levels of a value. Deeper ones overflow the stack, or the memory when they are indented. */
const MAX_DEPTH = 200

/** A value as JSON, or a remark if there is none, or if it is nested too deeply. @param indent spaces */
export function toJson(value: unknown, indent?: number): string {
  let level = [value]
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > MAX_DEPTH) return '(nested too deeply to display)'
    level = level.flatMap((part) => (typeof part === 'object' && part !== null ? Object.values(part) : []))
  }
  return displayText(JSON.stringify(value, null, indent) ?? 'No value')
}

/** @param max characters */
export function truncate(text: string, max: number): string {
  if (text.length <= max) return text
  const shown = cutText(text, max)
  return `${shown}\n… ${(text.length - shown.length).toLocaleString('en')} more characters`
}

function place(call: CallView, who: string | undefined, connection: string | undefined): string {
  if (call.where === 'server') return 'on the server'
  return who !== undefined && who === connection ? 'in this tab' : 'on another device'
}
