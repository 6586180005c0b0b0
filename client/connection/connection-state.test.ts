// The state of a connection: its transitions, and the waits before it reconnects.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backoff } from '../backoff.ts'
import { STABLE_MS } from '../transport/door.ts'
import { type ConnectionEvent, type ConnectionState, heartbeat, IDLE, nextConnection } from './connection-state.ts'

const POLICY = { baseMs: 100, maxMs: 1_000 }
const WELCOME: ConnectionEvent = { type: 'welcome', connection: 'c1', user: 'ann', node: 'n1' }
const LOST: ConnectionEvent = { type: 'lost', code: 1006, reason: '' }

function after(events: readonly ConnectionEvent[], now = 0, policy: Parameters<typeof nextConnection>[2] = POLICY) {
  return events.reduce<ConnectionState>((state, event) => nextConnection(state, event, policy, now, 0.5), IDLE)
}

describe('connection state', () => {
  it('is open after the welcome, and has the user’s identity', () => {
    expect(after([{ type: 'connect' }])).toMatchObject({ status: 'connecting', resumes: 0 })
    expect(after([{ type: 'connect' }, WELCOME])).toMatchObject({ status: 'open', user: 'ann', node: 'n1', resumes: 0 })
  })

  it('waits after a loss, and counts a resume when it reopens', () => {
    const waiting = after([{ type: 'connect' }, WELCOME, LOST])
    expect(waiting).toMatchObject({ status: 'waiting', attempt: 1, retryAt: 50 })
    expect(waiting.connection).toBeUndefined()
    expect(after([{ type: 'connect' }, WELCOME, LOST, { type: 'retry' }, WELCOME])).toMatchObject({
      status: 'open',
      resumes: 1,
    })
  })

  it('does not count the first connection as a resume, however late it opens', () => {
    expect(after([{ type: 'connect' }, LOST, { type: 'retry' }, WELCOME]).resumes).toBe(0)
  })

  it.each([4400, 4401, 4403, 4408, 4413, 4429, 4499])('ends permanently after close code %i', (code) => {
    const state = after([{ type: 'connect' }, WELCOME, { type: 'lost', code, reason: 'no' }])
    expect(state).toMatchObject({ status: 'closed', error: { code: 'disconnected', closeCode: code } })
    expect(nextConnection(state, { type: 'retry' }, POLICY, 0, 0)).toBe(state)
  })

  it('waits for an access token without a time limit if the client asked for that', () => {
    const rejected: ConnectionEvent = { type: 'lost', code: 4401, reason: 'the token has expired', awaitsToken: true }
    const state = after([{ type: 'connect' }, WELCOME, rejected])
    expect(state).toMatchObject({ status: 'waiting', turnedAway: true, attempt: 0, error: { closeCode: 4401 } })
    expect(state.retryAt).toBeUndefined()
    const back = after([{ type: 'connect' }, WELCOME, rejected, { type: 'retry' }])
    expect(back.status).toBe('connecting')
    expect(back.turnedAway).toBeUndefined()
  })

  it.each([1000, 1001, 1006, 1012, 4500, 4503, 4508])('reconnects after close code %i', (code) => {
    expect(after([{ type: 'connect' }, WELCOME, { type: 'lost', code, reason: '' }]).status).toBe('waiting')
  })

  it('gives up after the maximum of failed attempts', () => {
    const policy = { ...POLICY, maxAttempts: 2 }
    const failing: ConnectionEvent[] = [LOST, { type: 'retry' }, LOST, { type: 'retry' }, LOST]
    expect(after([{ type: 'connect' }, ...failing.slice(0, 3)], 0, policy).status).toBe('waiting')
    expect(after([{ type: 'connect' }, ...failing], 0, policy).status).toBe('closed')
  })

  it('waits longer after each failure, up to a limit, and any shorter time is possible', () => {
    expect([1, 2, 3, 4, 5, 99].map((attempt) => backoff(POLICY, attempt, 0.999_999))).toEqual([
      99, 199, 399, 799, 999, 999,
    ])
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (n, random) => {
          const wait = backoff(POLICY, n, random)
          expect(wait).toBeGreaterThanOrEqual(0)
          expect(wait).toBeLessThan(POLICY.maxMs)
        },
      ),
    )
  })

  it('starts with a short wait again only after a stable connection', () => {
    const flapping = after([{ type: 'connect' }, LOST, { type: 'retry' }, LOST, { type: 'retry' }, WELCOME, LOST])
    expect(flapping.attempt).toBe(3)
    const open = after([{ type: 'connect' }, LOST, { type: 'retry' }, WELCOME])
    expect(nextConnection(open, LOST, POLICY, STABLE_MS, 0.5).attempt).toBe(1)
  })

  it('reconnects at the time that a stopping node named, and not as after a failure', () => {
    const leaving = after([{ type: 'connect' }, WELCOME, { type: 'goaway', reconnectAfterMs: 700 }])
    expect(leaving).toMatchObject({ status: 'open', leaveAt: 700 })
    const gone = nextConnection(leaving, { type: 'lost', code: 4503, reason: '' }, POLICY, 10, 0.5)
    expect(gone).toMatchObject({ status: 'waiting', retryAt: 700, attempt: 0 })
  })

  it('keeps the first time at which it must leave', () => {
    const leaving = after([{ type: 'connect' }, WELCOME, { type: 'goaway', reconnectAfterMs: 700 }])
    expect(nextConnection(leaving, { type: 'goaway', reconnectAfterMs: 9_000 }, POLICY, 10, 0.5)).toBe(leaving)
  })

  it('falls back to another transport soon, without counting an attempt', () => {
    const fallsBack: ConnectionEvent = { ...LOST, fallsBack: true }
    const policy = { ...POLICY, maxAttempts: 1 }
    const waiting = after([{ type: 'connect' }, LOST, { type: 'retry' }, fallsBack], 0, policy)
    expect(waiting).toMatchObject({ status: 'waiting', attempt: 1, retryAt: 50 })
    const refused: ConnectionEvent = { type: 'lost', code: 4401, reason: '', fallsBack: true }
    expect(after([{ type: 'connect' }, refused]).status).toBe('closed')
  })

  it('does not reconnect before the time that the server asked for', () => {
    const waiting = after([{ type: 'connect' }, { ...LOST, retryAfterMs: 2_000 }])
    expect(waiting.retryAt).toBeGreaterThanOrEqual(2_000)
  })

  it('stays open, under its new id, when it moves to another transport', () => {
    const moved = after([{ type: 'connect' }, WELCOME, { ...WELCOME, type: 'moved', connection: 'c2', node: 'n2' }])
    expect(moved).toMatchObject({ status: 'open', connection: 'c2', node: 'n2', opens: 1, resumes: 0 })
    const late = after([{ type: 'connect' }, { ...WELCOME, type: 'moved' }])
    expect(late.status).toBe('connecting')
  })

  it('pings a silent peer, and leaves one that does not answer', () => {
    expect(heartbeat(999, 1_000, undefined)).toEqual({ do: 'wait', nextMs: 1 })
    expect(heartbeat(1_000, 1_000, undefined)).toEqual({ do: 'ping', nextMs: 2_000 })
    expect(heartbeat(2_999, 1_000, 1_999)).toEqual({ do: 'wait', nextMs: 1 })
    expect(heartbeat(3_000, 1_000, 2_000)).toEqual({ do: 'leave', nextMs: 0 })
  })

  it('pings before it leaves, after a timer that fired much too late', () => {
    expect(heartbeat(3_600_000, 15_000, undefined)).toEqual({ do: 'ping', nextMs: 10_000 })
  })

  it('stays closed', () => {
    const closed = after([{ type: 'connect' }, WELCOME, { type: 'close' }])
    for (const event of [WELCOME, LOST, { type: 'connect' }, { type: 'retry' }] as const) {
      expect(nextConnection(closed, event, POLICY, 0, 0)).toBe(closed)
    }
  })
})
