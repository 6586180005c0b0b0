// ConnectionState: the state of a client's connection, and the time of the next attempt. Pure.
//
//   idle ──connect──► connecting ──welcome──► open
//                        ▲    │                │
//                      retry  └─────lost───────┤ (if the close code allows a reconnect and attempts are left)
//                        │                     ▼
//                        └─────────────────  waiting
//   any ──close──► closed        connecting | open ──lost (44xx, or out of attempts)──► closed, with an error
//   connecting | open ──lost (4401, and the client waits for tokens)──► waiting, turnedAway: without a time limit
//   open ──moved──► open: over another transport, without a loss in between
import type { Assignment } from '@parley/protocol'
import { mayReconnect } from '@parley/protocol/close-code'
import { backoff, type ReconnectPolicy } from '../backoff.ts'
import { given } from '../given.ts'
import { DisconnectedError, type ParleyError } from '../parley-error.ts'
import { STABLE_MS } from '../transport/door.ts'
import type { TransportState } from './transport-choice.ts'

export type ConnectionStatus = 'idle' | 'connecting' | 'open' | 'waiting' | 'closed'

export interface ConnectionState {
  readonly status: ConnectionStatus
  /** The transport in use, or being opened. */
  readonly transport: TransportState
  /** The name of the server's node, while open. */
  readonly node?: string
  /** The client's user, as the server last reported it. */
  readonly user?: string
  /** The display name of that user, if the access token has one. */
  readonly name?: string
  /** The server's experiment and this client's variant, while open. */
  readonly experiment?: Assignment
  /** The connection's id, while open. */
  readonly connection?: string
  /** Failed attempts since the connection was last stable. */
  readonly attempt: number
  /** Unix milliseconds of the next attempt, while waiting. */
  readonly retryAt?: number
  /** While waiting: the server rejected the access token, and `renew` must announce another one. */
  readonly turnedAway?: true
  /** Why the connection was last lost. */
  readonly error?: ParleyError
  /** How often the connection has opened. All but the first are resumes. */
  readonly opens: number
  /** How often the connection has opened again after a loss. */
  readonly resumes: number
  /** Unix milliseconds at which the connection opened. */
  readonly since?: number
  /** Unix milliseconds at which to leave this node, which is shutting down. */
  readonly leaveAt?: number
}

export type ConnectionEvent =
  | { readonly type: 'connect' }
  | {
      readonly type: 'welcome' | 'moved'
      readonly connection: string
      readonly user: string
      readonly name?: string | undefined
      readonly experiment?: Assignment | undefined
      readonly node: string
    }
  | { readonly type: 'goaway'; readonly reconnectAfterMs: number }
  | ({ readonly type: 'lost' } & Lost)
  | { readonly type: 'retry' }
  | { readonly type: 'close' }

interface Lost {
  readonly code: number
  readonly reason: string
  /** The client tries another transport instead: this counts as the same attempt. */
  readonly fallsBack?: boolean
  /** The server rejected the access token, and the client waits for another one. */
  readonly awaitsToken?: boolean
  /** The wait that the server asked for, in milliseconds. */
  readonly retryAfterMs?: number | undefined
}

/** The state of a client that has never connected. */
export const IDLE: ConnectionState = {
  status: 'idle',
  transport: { door: 'websocket', moves: 0 },
  attempt: 0,
  opens: 0,
  resumes: 0,
}

/** @param random from 0 (included) to 1 (excluded) */
export function nextConnection(
  state: ConnectionState,
  event: ConnectionEvent,
  policy: ReconnectPolicy,
  now: number,
  random: number,
): ConnectionState {
  const { attempt, opens, resumes, transport } = state
  if (state.status === 'closed') return state
  switch (event.type) {
    case 'connect':
      return state.status === 'idle' ? { ...state, status: 'connecting' } : state
    case 'retry':
      return state.status === 'waiting' ? { ...withoutRetry(state), status: 'connecting' } : state
    case 'welcome':
    case 'moved': {
      const isNew = event.type === 'welcome'
      if (state.status !== (isNew ? 'connecting' : 'open')) return state
      const { connection, user, name, node, experiment } = event
      const counts = isNew ? { attempt, opens: opens + 1, resumes: opens } : { attempt, opens, resumes }
      // After a move, too: the earlier node may have been shutting down; this may be another one.
      const known = { connection, user, node, ...given({ name, experiment }) }
      return { status: 'open', transport, ...counts, ...known, since: now }
    }
    case 'goaway':
      if (state.status !== 'open' || state.leaveAt !== undefined) return state
      return { ...state, leaveAt: now + event.reconnectAfterMs }
    case 'lost':
      return lost(state, event, policy, now, random)
    case 'close':
      return { status: 'closed', transport, attempt, opens, resumes }
  }
}

function lost(
  state: ConnectionState,
  event: Lost,
  policy: ReconnectPolicy,
  now: number,
  random: number,
): ConnectionState {
  if (state.status !== 'connecting' && state.status !== 'open') return state
  const { transport, opens, resumes, user, name } = state
  const error = new DisconnectedError(event.code, event.reason)
  // A loss does not change the user.
  const waiting = { status: 'waiting', transport, opens, resumes, error, ...given({ user, name }) } as const
  // A requested reconnect is no failure. The server has chosen the time so that not all clients reconnect at once.
  if (state.leaveAt !== undefined) return { ...waiting, attempt: 0, retryAt: Math.max(now, state.leaveAt) }
  if (event.awaitsToken === true) return { ...waiting, attempt: 0, turnedAway: true }
  const wasStable = state.since !== undefined && now - state.since >= STABLE_MS
  const failed = wasStable ? 0 : state.attempt
  if (mayReconnect(event.code) && event.fallsBack === true) {
    return { ...waiting, attempt: failed, retryAt: now + backoff(policy, 1, random) }
  }
  const attempt = failed + 1
  const isExhausted = policy.maxAttempts !== undefined && attempt > policy.maxAttempts
  if (!mayReconnect(event.code) || isExhausted) return { ...waiting, status: 'closed', attempt }
  const wait = backoff(policy, attempt, random)
  // Adds jitter to the requested wait, so that not all clients reconnect at the same moment.
  return { ...waiting, attempt, retryAt: now + (event.retryAfterMs ?? 0) + wait }
}

/** The longest wait for the answer to a ping, in milliseconds. */
const PONG_MS = 10_000

/**
 * Decides what to do after the peer has been silent for some milliseconds. Only an unanswered ping proves that the peer
 * is gone, because timers fire late in background pages and after sleep.
 * @param pingedMs milliseconds since the unanswered ping; undefined if none was sent since the last frame
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
  const { retryAt: _, turnedAway: __, ...rest } = state
  return rest
}
