// Badge: the state of the connection and of the session, in words. Pure.
import type { ConnectionState, MoveReason, SessionView, TransportState } from '@parley/client'
import { isAccessError } from '../auth/access-note.ts'

export interface Badge {
  readonly tone: 'live' | 'busy' | 'lost' | 'ended'
  /** Announced by screen readers, so it changes with the state and not every second. */
  readonly text: string
  /** Shown after the text, and not announced. */
  readonly detail?: string
  /** Why the connection ended, shown on its own line. */
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
      // No failure yet: the client falls back to another transport or node.
      if (connection.attempt === 0) return connecting(connection)
      return { tone: 'lost', text: 'Offline', ...countdown(connection.retryAt, now) }
    case 'closed':
      return { tone: 'ended', text: 'Disconnected', ...why(connection.error?.message) }
    case 'open':
      if (session.error !== undefined) {
        // NoAccess shows the reason of an access error.
        const { message } = session.error
        return { tone: 'ended', text: 'Unavailable', ...(isAccessError(session.error) ? {} : why(message)) }
      }
      if (session.status === 'live') return { tone: 'live', text: 'Live', ...place(connection) }
      return { tone: 'busy', text: session.status === 'replaying' ? 'Catching up' : 'Opening' }
  }
}

/** Whether the server rejected this page because it has no valid access token. */
export function isSignedOut({ turnedAway }: Pick<ConnectionState, 'turnedAway'>): boolean {
  return turnedAway === true
}

function connecting({ opens, attempt }: ConnectionState): Badge {
  return opens === 0 && attempt === 0 ? { tone: 'busy', text: 'Connecting' } : { tone: 'lost', text: 'Reconnecting' }
}

function countdown(retryAt: number | undefined, now: number): { detail?: string } {
  const seconds = retryAt === undefined ? 0 : Math.ceil((retryAt - now) / 1_000)
  return seconds <= 0 ? {} : { detail: `retrying in ${seconds} s` }
}

const TRANSPORTS: Readonly<Record<TransportState['door'], string>> = {
  websocket: 'WebSocket',
  sse: 'Server-sent events',
  'long-poll': 'Long polling',
}

/** The normal transport is not worth a note. */
const TRANSPORT_NOTES: Readonly<Record<TransportState['door'], string | undefined>> = {
  websocket: undefined,
  sse: 'over SSE',
  'long-poll': 'over long polling',
}

const REASONS: Readonly<Record<MoveReason, string>> = {
  blocked: 'WebSockets seem to be blocked; retrying periodically.',
  buffered: 'A proxy seems to buffer answers; retrying periodically.',
  unstable: 'The better transport kept disconnecting; retrying periodically.',
  remembered: 'The better transport did not work last time; retrying periodically.',
}

function place({ transport, resumes }: ConnectionState): { detail?: string } {
  const reconnects = resumes === 0 ? undefined : `reconnected ${resumes}×`
  const parts = [TRANSPORT_NOTES[transport.door], reconnects].filter((part) => part !== undefined)
  return parts.length === 0 ? {} : { detail: parts.join(', ') }
}

/** The rows of the connection dialog. @param now Unix milliseconds */
export function connectionFacts(
  { node, transport, resumes, since, status }: ConnectionState,
  now: number,
): readonly (readonly [name: string, value: string])[] {
  const facts: [string, string][] = [['Transport', TRANSPORTS[transport.door]]]
  if (transport.why !== undefined) facts.push(['Reason', REASONS[transport.why]])
  if (node !== undefined) facts.push(['Node', node])
  if (status === 'open' && since !== undefined) facts.push(['Connected for', duration(now - since)])
  facts.push(['Reconnects', resumes === 0 ? 'none' : `${resumes}, nothing lost`])
  return facts
}

function duration(ms: number): string {
  const minutes = Math.floor(ms / 60_000)
  if (minutes < 1) return 'less than a minute'
  if (minutes < 60) return `${minutes} min`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

function why(message: string | undefined): { reason?: string } {
  return message === undefined ? {} : { reason: message }
}
