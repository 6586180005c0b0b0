// Badge: the state of the connection and of the session's reader, in words. Pure.
import type { ConnectionState, MoveReason, SessionView, TransportState } from '@parley/client'
import { isShut } from '../auth/access-note.ts'

export interface Badge {
  readonly tone: 'live' | 'busy' | 'lost' | 'ended'
  /** What a screen reader is told: it changes with the state, not with each second. */
  readonly text: string
  /** What only eyes are shown, after the text. */
  readonly detail?: string
  /** Why it ended: for a line of its own. */
  readonly reason?: string
}

/** @param now Unix milliseconds */
export function badgeOf(
  connection: ConnectionState,
  session: Pick<SessionView, 'status' | 'error'>,
  now: number,
): Badge {
  switch (connection.status) {
    case 'idle':
    case 'connecting':
      return connecting(connection)
    case 'waiting':
      if (isSignedOut(connection)) return { tone: 'ended', text: 'Not signed in' }
      // Nothing has failed yet: another door is tried, or another node.
      if (connection.attempt === 0) return connecting(connection)
      return { tone: 'lost', text: 'Offline', ...countdown(connection.retryAt, now) }
    case 'closed':
      return { tone: 'ended', text: 'Disconnected', ...why(connection.error?.message) }
    case 'open':
      if (session.error !== undefined) {
        // Of a session that is shut the page itself tells why.
        const shut = isShut(session.error)
        return { tone: 'ended', text: 'Not available', ...(shut ? {} : why(session.error.message)) }
      }
      if (session.status === 'live') return { tone: 'live', text: 'Live', ...place(connection) }
      return { tone: 'busy', text: session.status === 'replaying' ? 'Catching up' : 'Opening' }
  }
}

/** Whether the server turned this page away for want of a token that it takes. */
export function isSignedOut({ turnedAway }: Pick<ConnectionState, 'turnedAway'>): boolean {
  return turnedAway === true
}

function connecting({ opens, attempt }: ConnectionState): Badge {
  return opens === 0 && attempt === 0 ? { tone: 'busy', text: 'Connecting' } : { tone: 'lost', text: 'Reconnecting' }
}

function countdown(retryAt: number | undefined, now: number): { detail?: string } {
  const seconds = retryAt === undefined ? 0 : Math.ceil((retryAt - now) / 1_000)
  return seconds <= 0 ? {} : { detail: `retry in ${seconds} s` }
}

const DOORS: Readonly<Record<TransportState['door'], string | undefined>> = {
  websocket: undefined,
  sse: 'over SSE',
  'long-poll': 'over long polls',
}

const REASONS: Readonly<Record<MoveReason, string>> = {
  blocked: 'Something on the way blocks the better connection; it is tried again now and then.',
  buffered: 'Something on the way holds the answers back; the better connection is tried again now and then.',
  unstable: 'The better connection broke again and again; it is tried again now and then.',
  remembered: 'The better connection did not work the last time; it is tried again now and then.',
}

function place({ node, transport, resumes }: ConnectionState): { detail?: string } {
  const back = resumes === 0 ? undefined : `resumed ${resumes}×`
  const parts = [node, DOORS[transport.door], back].filter((part) => part !== undefined && part !== '')
  return parts.length === 0 ? {} : { detail: parts.join(', ') }
}

/** How the page is connected, line by line: for who asks. @param now Unix milliseconds */
export function connectionFacts(
  { node, transport, resumes, since, status }: ConnectionState,
  now: number,
): readonly (readonly [name: string, value: string])[] {
  const door =
    transport.door === 'websocket' ? 'WebSocket' : transport.door === 'sse' ? 'Server-sent events' : 'Long polls'
  const facts: [string, string][] = [['Door', door]]
  if (transport.why !== undefined) facts.push(['Why this door', REASONS[transport.why]])
  if (node !== undefined) facts.push(['Node', node])
  if (status === 'open' && since !== undefined) facts.push(['Connected for', lasted(now - since)])
  facts.push([
    'Resumed',
    resumes === 0 ? 'never: it has held' : `${resumes} ${resumes === 1 ? 'time' : 'times'}, nothing was lost`,
  ])
  return facts
}

function lasted(ms: number): string {
  const minutes = Math.floor(ms / 60_000)
  if (minutes < 1) return 'less than a minute'
  if (minutes < 60) return `${minutes} min`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

function why(message: string | undefined): { reason?: string } {
  return message === undefined ? {} : { reason: message }
}
