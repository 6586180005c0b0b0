// ErrorNote: what the page says about an error: what happened, and what to do. Pure.
import { ParleyError } from '@parley/client'
import { resetNote } from '../budget/budget-note.ts'

const WORDS: Readonly<Record<string, string>> = {
  forbidden: 'Your role in this chat doesn’t allow this.',
  unauthenticated: 'Your session has expired.',
  disconnected: 'Couldn’t reach the server. Try again.',
  invite_invalid: 'This invitation has expired, was revoked, or is for someone else. Ask for a new one.',
  last_owner: 'Make someone else an owner first.',
  too_many_members: 'Member or invitation limit reached.',
  member_not_found: 'This person is no longer a member.',
  session_not_found: 'This chat no longer exists.',
  session_deleted: 'This chat was deleted.',
  rate_limited: 'Too many requests.',
  too_large: 'This message is too long.',
  budget_exceeded: 'Not enough tokens left in the budget.',
}

/**
 * @param error of the client, or of a request
 * @param now Unix milliseconds by the server's clock, by which the budget's line tells the time of the reset, too
 */
export function errorNote(error: unknown, now = Date.now()): string {
  if (!(error instanceof ParleyError)) return 'Something went wrong.'
  const words = WORDS[error.code] ?? error.message
  // The note is stored with the message and read later, so it names a time and not a duration.
  if (error.code === 'budget_exceeded' && error.retryAfterMs !== undefined) {
    return `${words} ${resetNote(now + error.retryAfterMs, now)}`
  }
  return error.retryAfterMs === undefined ? words : `${words} ${tryAgain(error.retryAfterMs)}`
}

/** @param until when the client retries, in Unix milliseconds */
export function delayNote(code: string, until: number, now: number): string {
  const words = WORDS[code] ?? 'Not delivered.'
  const seconds = Math.ceil((until - now) / 1_000)
  return seconds <= 0 ? `${words} Retrying now.` : `${words} Retrying in ${seconds} s.`
}

/** When to try again: in seconds below two minutes, then in minutes, hours or days. */
export function tryAgain(ms: number): string {
  const seconds = Math.max(1, Math.ceil(ms / 1_000))
  if (seconds < 120) return `Try again in ${seconds} s.`
  const minutes = Math.ceil(seconds / 60)
  if (minutes < 120) return `Try again in ${minutes} minutes.`
  const hours = Math.ceil(minutes / 60)
  return hours < 48 ? `Try again in ${hours} hours.` : `Try again in ${Math.ceil(hours / 24)} days.`
}
