// Badge: the state of the connection and of the session's reader, in words. Pure.
import type { ConnectionState, SessionView } from '@parley/client'

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
      return connection.opens === 0 && connection.attempt === 0
        ? { tone: 'busy', text: 'Connecting' }
        : { tone: 'lost', text: 'Reconnecting' }
    case 'waiting':
      return { tone: 'lost', text: 'Offline', ...countdown(connection.retryAt, now) }
    case 'closed':
      return { tone: 'ended', text: 'Disconnected', ...why(connection.error?.message) }
    case 'open':
      if (session.error !== undefined) return { tone: 'ended', text: 'Not available', ...why(session.error.message) }
      if (session.status === 'live') return { tone: 'live', text: 'Live', ...node(connection.node) }
      return { tone: 'busy', text: session.status === 'replaying' ? 'Catching up' : 'Opening' }
  }
}

function countdown(retryAt: number | undefined, now: number): { detail?: string } {
  const seconds = retryAt === undefined ? 0 : Math.ceil((retryAt - now) / 1_000)
  return seconds <= 0 ? {} : { detail: `retry in ${seconds} s` }
}

function node(name: string | undefined): { detail?: string } {
  return name === undefined ? {} : { detail: name }
}

function why(message: string | undefined): { reason?: string } {
  return message === undefined ? {} : { reason: message }
}
