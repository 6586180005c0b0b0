// What the badge says of each state of the connection.
import { DisconnectedError, ParleyError } from '@parley/client'
import { describe, expect, it } from 'vitest'
import { badgeOf, connectionFacts } from './badge.ts'

const transport = { door: 'websocket' as const, moves: 0 }
const closed = { attempt: 0, opens: 1, resumes: 0, transport }
const live = { status: 'live' as const, error: undefined }

describe('the badge', () => {
  it('says when it is live, and where', () => {
    const open = { ...closed, status: 'open' as const, node: 'node-1' }
    expect(badgeOf(open, live, 0)).toEqual({ tone: 'live', text: 'Live', detail: 'node-1' })
  })

  it('says which door it uses, where it is not the best one, and why', () => {
    const open = { ...closed, status: 'open' as const, node: 'node-1' }
    const polls = { ...open, transport: { door: 'long-poll' as const, why: 'buffered' as const, moves: 1 } }
    expect(badgeOf(polls, live, 0)).toMatchObject({ text: 'Live', detail: 'node-1, over long polls' })
    const chosen = { ...open, transport: { door: 'sse' as const, moves: 0 } }
    expect(badgeOf(chosen, live, 0)).toEqual({ tone: 'live', text: 'Live', detail: 'node-1, over SSE' })
  })

  it('tells who asks by which door it is connected and why, to which node, since when, and how often it came back', () => {
    const open = { ...closed, status: 'open' as const, node: 'node-1', resumes: 2, since: 1_000 }
    expect(badgeOf(open, live, 0).detail).toBe('node-1, resumed 2×')
    const polls = { ...open, transport: { door: 'long-poll' as const, why: 'buffered' as const, moves: 1 } }
    const facts = new Map(connectionFacts(polls, 1_000 + 3_720_000))
    expect([...facts.keys()]).toEqual(['Door', 'Why this door', 'Node', 'Connected for', 'Resumed'])
    expect(facts.get('Door')).toBe('Long polls')
    expect(facts.get('Why this door')).toContain('holds the answers back')
    expect(facts.get('Connected for')).toBe('1 h 2 min')
    expect(facts.get('Resumed')).toContain('2 times')
  })

  it('says that it catches up', () => {
    const open = { ...closed, status: 'open' as const }
    expect(badgeOf(open, { ...live, status: 'replaying' }, 0)).toMatchObject({ tone: 'busy', text: 'Catching up' })
  })

  it('counts down to the next attempt without changing what is read aloud', () => {
    const waiting = { ...closed, status: 'waiting' as const, attempt: 3, retryAt: 10_000 }
    expect(badgeOf(waiting, live, 6_500)).toEqual({ tone: 'lost', text: 'Offline', detail: 'retry in 4 s' })
    expect(badgeOf(waiting, live, 11_000)).toEqual({ tone: 'lost', text: 'Offline' })
  })

  it('tells a first connection from one that comes back', () => {
    expect(badgeOf({ ...closed, opens: 0, status: 'connecting' }, live, 0).text).toBe('Connecting')
    expect(badgeOf({ ...closed, status: 'connecting' }, live, 0).text).toBe('Reconnecting')
  })

  it('does not call it offline while another door is tried', () => {
    const trying = { ...closed, opens: 0, status: 'waiting' as const, retryAt: 100 }
    expect(badgeOf(trying, live, 0)).toEqual({ tone: 'busy', text: 'Connecting' })
    expect(badgeOf({ ...trying, opens: 1 }, live, 0).text).toBe('Reconnecting')
  })

  it('says why it is over', () => {
    const error = new ParleyError('disconnected', 'not authenticated')
    const badge = { tone: 'ended', reason: 'not authenticated' }
    expect(badgeOf({ ...closed, status: 'closed', error }, live, 0)).toMatchObject(badge)
    const open = { ...closed, status: 'open' as const }
    expect(badgeOf(open, { status: 'offline', error }, 0)).toMatchObject({ ...badge, text: 'Not available' })
    // What is shut is told of in the conversation's place; who is not signed in is asked to.
    const gone = new ParleyError('session_deleted', 'The session was deleted.')
    expect(badgeOf(open, { status: 'offline', error: gone }, 0)).toEqual({ tone: 'ended', text: 'Not available' })
    const out = new DisconnectedError(4401, 'not authenticated')
    expect(badgeOf({ ...closed, status: 'waiting', turnedAway: true, error: out }, live, 0)).toEqual({
      tone: 'ended',
      text: 'Not signed in',
    })
  })
})
