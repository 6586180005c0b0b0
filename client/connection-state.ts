// ConnectionState: where a client's one connection stands, and when it is to be tried again. Pure.
//
//   idle ──connect──► connecting ──welcome──► open
//                        ▲    │                │
//                      retry  └─────lost───────┤ (a close code that allows it, and attempts are left)
//                        │                     ▼
//                        └─────────────────  waiting
//   any ──close──► closed        connecting | open ──lost (44xx, or out of attempts)──► closed, with an error
import { mayReconnect } from '@parley/protocol/close-code'
import { DisconnectedError, type ParleyError } from './parley-error.ts'

export type ConnectionStatus = 'idle' | 'connecting' | 'open' | 'waiting' | 'closed'

export interface ConnectionState {
  readonly status: ConnectionStatus
  /** The name of the server's node, while open. */
  readonly node?: string
  /** Who the server takes this client for. */
  readonly user?: string
  /** The connection's id, while open. */
  readonly connection?: string
  /** Failed attempts since the connection last held. */
  readonly attempt: number
  /** Unix milliseconds of the next attempt, while waiting. */
  readonly retryAt?: number
  /** Why the connection was last lost. */
  readonly error?: ParleyError
  /** How often it was open; beyond the first time, it was resumed. */
  readonly opens: number
  /** How often a connection was opened again after one had been lost. */
  readonly resumes: number
  /** Unix milliseconds since when it is open. */
  readonly since?: number
  /** Unix milliseconds at which to leave this node, which is about to stop. */
  readonly leaveAt?: number
}

/** Milliseconds, but for `maxAttempts`. */
export interface ReconnectPolicy {
  /** The first wait is a random time up to this; it doubles with each failed attempt. */
  readonly baseMs: number
  readonly maxMs: number
  /** Failed attempts in a row before giving up; never, when left out. */
  readonly maxAttempts?: number
}

/** A connection that held for so long was a good one: the next loss begins with a short wait again. */
export const STABLE_MS = 5_000

export type ConnectionEvent =
  | { readonly type: 'connect' }
  | {
      readonly type: 'welcome'
      readonly connection: string
      readonly user: string
      readonly node: string
    }
  | { readonly type: 'goaway'; readonly reconnectAfterMs: number }
  | { readonly type: 'lost'; readonly code: number; readonly reason: string }
  | { readonly type: 'retry' }
  | { readonly type: 'close' }

export const IDLE: ConnectionState = {
  status: 'idle',
  attempt: 0,
  opens: 0,
  resumes: 0,
}

/** @param random from 0 up to 1 */
export function nextConnection(
  state: ConnectionState,
  event: ConnectionEvent,
  policy: ReconnectPolicy,
  now: number,
  random: number,
): ConnectionState {
  const { attempt, opens, resumes } = state
  if (state.status === 'closed') return state
  switch (event.type) {
    case 'connect':
      return state.status === 'idle' ? { ...state, status: 'connecting' } : state
    case 'retry':
      return state.status === 'waiting' ? { ...withoutRetry(state), status: 'connecting' } : state
    case 'welcome': {
      if (state.status !== 'connecting') return state
      const { connection, user, node } = event
      return {
        status: 'open',
        attempt,
        opens: opens + 1,
        resumes: opens,
        connection,
        user,
        node,
        since: now,
      }
    }
    case 'goaway':
      return state.status === 'open' ? { ...state, leaveAt: now + event.reconnectAfterMs } : state
    case 'lost':
      return lost(state, event, policy, now, random)
    case 'close':
      return { status: 'closed', attempt, opens, resumes }
  }
}

function lost(
  state: ConnectionState,
  event: { readonly code: number; readonly reason: string },
  policy: ReconnectPolicy,
  now: number,
  random: number,
): ConnectionState {
  if (state.status !== 'connecting' && state.status !== 'open') return state
  const { opens, resumes } = state
  const error = new DisconnectedError(event.code, event.reason)
  // Told to go: that is no failure, and the server has chosen the time so that not all come back at once.
  if (state.leaveAt !== undefined) {
    return {
      status: 'waiting',
      attempt: 0,
      opens,
      resumes,
      error,
      retryAt: Math.max(now, state.leaveAt),
    }
  }
  const held = state.since !== undefined && now - state.since >= STABLE_MS
  const attempt = (held ? 0 : state.attempt) + 1
  const givenUp = policy.maxAttempts !== undefined && attempt > policy.maxAttempts
  if (!mayReconnect(event.code) || givenUp) return { status: 'closed', attempt, opens, resumes, error }
  return {
    status: 'waiting',
    attempt,
    opens,
    resumes,
    error,
    retryAt: now + backoff(policy, attempt, random),
  }
}

/** Full jitter: any time up to the bound is as likely, so that many clients spread out. */
export function backoff(policy: ReconnectPolicy, attempt: number, random: number): number {
  const bound = Math.min(policy.maxMs, policy.baseMs * 2 ** Math.min(attempt - 1, 30))
  return Math.floor(random * bound)
}

/** Milliseconds within which a ping is answered by a peer that is there, at most. */
const PONG_MS = 10_000

/**
 * What to do about a peer that was last heard so many milliseconds ago. Only an unanswered ping tells that it is gone:
 * timers of a page in the background, or of a machine that slept, fire late.
 * @param pingedMs since when a ping has been without an answer; undefined: none was sent since it was heard
 */
export function heartbeat(
  silentMs: number,
  heartbeatMs: number,
  pingedMs: number | undefined,
): { readonly do: 'wait' | 'ping' | 'leave'; readonly nextMs: number } {
  const patienceMs = Math.min(2 * heartbeatMs, PONG_MS)
  if (pingedMs === undefined) {
    if (silentMs < heartbeatMs) return { do: 'wait', nextMs: heartbeatMs - silentMs }
    return { do: 'ping', nextMs: patienceMs }
  }
  if (pingedMs < patienceMs) return { do: 'wait', nextMs: patienceMs - pingedMs }
  return { do: 'leave', nextMs: 0 }
}

function withoutRetry(state: ConnectionState): ConnectionState {
  const { retryAt: _, ...rest } = state
  return rest
}
