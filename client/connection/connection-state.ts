// ConnectionState: where a client's one connection stands, and when it is to be tried again. Pure.
//
//   idle ──connect──► connecting ──welcome──► open
//                        ▲    │                │
//                      retry  └─────lost───────┤ (a close code that allows it, and attempts are left)
//                        │                     ▼
//                        └─────────────────  waiting
//   any ──close──► closed        connecting | open ──lost (44xx, or out of attempts)──► closed, with an error
//   connecting | open ──lost (4401), where that is asked for──► waiting, turned away: for another token, and no time
//   open ──moved──► open: through another door, and nothing was lost in between
import type { Assignment } from '@parley/protocol'
import { mayReconnect } from '@parley/protocol/close-code'
import { backoff, type ReconnectPolicy } from '../backoff.ts'
import { DisconnectedError, type ParleyError } from '../parley-error.ts'
import type { TransportState } from './transport-choice.ts'

export type ConnectionStatus = 'idle' | 'connecting' | 'open' | 'waiting' | 'closed'

export interface ConnectionState {
  readonly status: ConnectionStatus
  /** The door that is used, or tried. */
  readonly transport: TransportState
  /** The name of the server's node, while open. */
  readonly node?: string
  /** Who the server takes this client for, or last took it for. */
  readonly user?: string
  /** How people call that user, where the token tells it. */
  readonly name?: string
  /** The experiment that the server has this client take part in, and its variant, while open. */
  readonly experiment?: Assignment
  /** The connection's id, while open. */
  readonly connection?: string
  /** Failed attempts since the connection last held. */
  readonly attempt: number
  /** Unix milliseconds of the next attempt, while waiting. */
  readonly retryAt?: number
  /** While waiting: the server takes the token no more, and it is tried again when `renew` says that there is another one. */
  readonly turnedAway?: true
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

/** A connection that held for so long was a good one: the next loss begins with a short wait again. */
export const STABLE_MS = 5_000

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
  /** Another door is to be tried instead: that is the same attempt still. */
  readonly elsewhere?: boolean
  /** The token was not taken, and another one is to be waited for. */
  readonly waits?: boolean
  /** What the server asked for. */
  readonly retryAfterMs?: number | undefined
}

export const IDLE: ConnectionState = {
  status: 'idle',
  transport: { door: 'websocket', moves: 0 },
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
  const { attempt, opens, resumes, transport } = state
  if (state.status === 'closed') return state
  switch (event.type) {
    case 'connect':
      return state.status === 'idle' ? { ...state, status: 'connecting' } : state
    case 'retry':
      return state.status === 'waiting' ? { ...withoutRetry(state), status: 'connecting' } : state
    case 'welcome': {
      if (state.status !== 'connecting') return state
      const counts = { attempt, opens: opens + 1, resumes: opens }
      return { status: 'open', transport, ...counts, ...whoAndWhere(event), since: now }
    }
    case 'moved': {
      if (state.status !== 'open') return state
      // The node of before may have been about to stop; this may be another one.
      return { status: 'open', transport, attempt, opens, resumes, ...whoAndWhere(event), since: now }
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

function whoAndWhere(event: {
  readonly connection: string
  readonly user: string
  readonly name?: string | undefined
  readonly experiment?: Assignment | undefined
  readonly node: string
}): Pick<ConnectionState, 'connection' | 'user' | 'name' | 'node' | 'experiment'> {
  const { connection, user, name, node, experiment } = event
  return {
    connection,
    user,
    node,
    ...(name === undefined ? {} : { name }),
    ...(experiment === undefined ? {} : { experiment }),
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
  // Whose client it is does not change with a loss.
  const who = { ...(user === undefined ? {} : { user }), ...(name === undefined ? {} : { name }) }
  const waiting = { status: 'waiting', transport, opens, resumes, error, ...who } as const
  // Told to go: that is no failure, and the server has chosen the time so that not all come back at once.
  if (state.leaveAt !== undefined) return { ...waiting, attempt: 0, retryAt: Math.max(now, state.leaveAt) }
  if (event.waits === true) return { ...waiting, attempt: 0, turnedAway: true }
  const held = state.since !== undefined && now - state.since >= STABLE_MS
  const failed = held ? 0 : state.attempt
  if (mayReconnect(event.code) && event.elsewhere === true) {
    return { ...waiting, attempt: failed, retryAt: now + backoff(policy, 1, random) }
  }
  const attempt = failed + 1
  const givenUp = policy.maxAttempts !== undefined && attempt > policy.maxAttempts
  if (!mayReconnect(event.code) || givenUp) return { ...waiting, status: 'closed', attempt }
  const wait = backoff(policy, attempt, random)
  // Asked to wait: not before, and not all at the same moment after it.
  return { ...waiting, attempt, retryAt: now + (event.retryAfterMs ?? 0) + wait }
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
  const { retryAt: _, turnedAway: __, ...rest } = state
  return rest
}
