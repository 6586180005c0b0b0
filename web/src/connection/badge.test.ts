// The connection badge's texts, for each state of the connection.
import { DisconnectedError, ParleyError } from '@parley/client'
import { describe, expect, it } from 'vitest'
import { badgeOf, connectionFacts } from './badge.ts'

const transport = { door: 'websocket' as const, moves: 0 }
const closed = { attempt: 0, opens: 1, resumes: 0, transport }
const live = { status: 'live' as const, error: undefined }

describe('the badge', () => {
  it('does not show the node, which only the details name', () => {
    const open = { ...closed, status: 'open' as const, node: 'node-1' }
    expect(badgeOf(open, live, 0)).toEqual({ tone: 'live', text: 'Live' })
  })

  it('names the transport unless it is WebSocket', () => {
    const open = { ...closed, status: 'open' as const, node: 'node-1' }
    const polling = { ...open, transport: { door: 'long-poll' as const, why: 'buffered' as const, moves: 1 } }
    expect(badgeOf(polling, live, 0)).toMatchObject({ text: 'Live', detail: 'over long polling' })
    const sse = { ...open, transport: { door: 'sse' as const, moves: 0 } }
    expect(badgeOf(sse, live, 0)).toEqual({ tone: 'live', text: 'Live', detail: 'over SSE' })
  })

  it('lists the transport and its reason, the node, the duration and the reconnects', () => {
    const open = { ...closed, status: 'open' as const, node: 'node-1', resumes: 2, since: 1_000 }
    expect(badgeOf(open, live, 0).detail).toBe('reconnected 2×')
    const polling = { ...open, transport: { door: 'long-poll' as const, why: 'buffered' as const, moves: 1 } }
    const facts = new Map(connectionFacts(polling, 1_000 + 3_720_000))
    expect([...facts.keys()]).toEqual(['Transport', 'Reason', 'Node', 'Connected for', 'Reconnects'])
    expect(facts.get('Transport')).toBe('Long polling')
    expect(facts.get('Reason')).toContain('buffer')
    expect(facts.get('Connected for')).toBe('1 h 2 min')
    expect(facts.get('Reconnects')).toBe('2, nothing lost')
  })

  it('shows that a session catches up', () => {
    const open = { ...closed, status: 'open' as const }
    expect(badgeOf(open, { ...live, status: 'replaying' }, 0)).toMatchObject({ tone: 'busy', text: 'Catching up' })
  })

  it('counts down to the next attempt without changing the text for screen readers', () => {
    const waiting = { ...closed, status: 'waiting' as const, attempt: 3, retryAt: 10_000 }
    expect(badgeOf(waiting, live, 6_500)).toEqual({ tone: 'lost', text: 'Offline', detail: 'retrying in 4 s' })
    expect(badgeOf(waiting, live, 11_000)).toEqual({ tone: 'lost', text: 'Offline' })
  })

  it('distinguishes a first connection from a reconnect', () => {
    expect(badgeOf({ ...closed, opens: 0, status: 'connecting' }, live, 0).text).toBe('Connecting')
    expect(badgeOf({ ...closed, status: 'connecting' }, live, 0).text).toBe('Reconnecting')
  })

  it('does not show offline while the client falls back to another transport', () => {
    const fallback = { ...closed, opens: 0, status: 'waiting' as const, retryAt: 100 }
    expect(badgeOf(fallback, live, 0)).toEqual({ tone: 'busy', text: 'Connecting' })
    expect(badgeOf({ ...fallback, opens: 1 }, live, 0).text).toBe('Reconnecting')
  })

  it('shows why the connection ended', () => {
    const error = new ParleyError('disconnected', 'not authenticated')
    const badge = { tone: 'ended', reason: 'not authenticated' }
    expect(badgeOf({ ...closed, status: 'closed', error }, live, 0)).toMatchObject(badge)
    const open = { ...closed, status: 'open' as const }
    expect(badgeOf(open, { status: 'offline', error }, 0)).toMatchObject({ ...badge, text: 'Unavailable' })
    // NoAccess shows the reason of an access error, and the sign-in dialog that of a rejected token.
    const gone = new ParleyError('session_deleted', 'The session was deleted.')
    expect(badgeOf(open, { status: 'offline', error: gone }, 0)).toEqual({ tone: 'ended', text: 'Unavailable' })
    const rejected = new DisconnectedError(4401, 'not authenticated')
    expect(badgeOf({ ...closed, status: 'waiting', turnedAway: true, error: rejected }, live, 0)).toEqual({
      tone: 'ended',
      text: 'Not signed in',
    })
  })
})
