// RefusalNote: what the page says when the server refuses something, in words that tell what to do. Pure.
import { ParleyError } from '@parley/client'
import { freeAgain } from '../budget/budget-note.ts'

const WORDS: Readonly<Record<string, string>> = {
  forbidden: 'Your role in this session does not allow this.',
  unauthenticated: 'Your sign-in is over.',
  disconnected: 'The server was not reached. Try again.',
  invite_invalid: 'The invitation is over, was taken back, or is not for you. Ask for another one.',
  last_owner: 'A session needs an owner: make somebody else one first.',
  too_many_members: 'The session has as many members, or open invitations, as it may.',
  member_not_found: 'They are no member any more.',
  session_not_found: 'There is no such session any more.',
  session_deleted: 'The session was deleted.',
  rate_limited: 'That was too much at once.',
  budget_exceeded: 'The budget of tokens is used up.',
}

/** @param error of the client, or of a request */
export function refusalNote(error: unknown): string {
  if (!(error instanceof ParleyError)) return 'It did not work.'
  const words = WORDS[error.code] ?? error.message
  // What is kept with a message is read later: a time that is told as one holds then, too.
  if (error.code === 'budget_exceeded' && error.retryAfterMs !== undefined) {
    const now = Date.now()
    return `${words} ${freeAgain(now + error.retryAfterMs, now)}`
  }
  return error.retryAfterMs === undefined ? words : `${words} ${tryAgain(error.retryAfterMs)}`
}

/** @param until Unix milliseconds at which it is tried again by itself */
export function delayNote(code: string, until: number, now: number): string {
  const words = WORDS[code] ?? 'The server could not take it yet.'
  const seconds = Math.ceil((until - now) / 1_000)
  return seconds <= 0 ? `${words} It is sent again now.` : `${words} It is sent again in ${seconds} s.`
}

/** When to try again, to the second below two minutes and to the minute or hour beyond. */
export function tryAgain(ms: number): string {
  const seconds = Math.max(1, Math.ceil(ms / 1_000))
  if (seconds < 120) return `Try again in ${seconds} s.`
  const minutes = Math.ceil(seconds / 60)
  if (minutes < 120) return `Try again in ${minutes} minutes.`
  const hours = Math.ceil(minutes / 60)
  return hours < 48 ? `Try again in ${hours} hours.` : `Try again in ${Math.ceil(hours / 24)} days.`
}
