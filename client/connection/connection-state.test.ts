import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backoff } from '../backoff.ts'
import {
  type ConnectionEvent,
  type ConnectionState,
  heartbeat,
  IDLE,
  nextConnection,
  STABLE_MS,
} from './connection-state.ts'

const POLICY = { baseMs: 100, maxMs: 1_000 }
const WELCOME: ConnectionEvent = { type: 'welcome', connection: 'c1', user: 'ann', node: 'n1' }
const LOST: ConnectionEvent = { type: 'lost', code: 1006, reason: '' }

function after(events: readonly ConnectionEvent[], now = 0, policy: Parameters<typeof nextConnection>[2] = POLICY) {
  return events.reduce<ConnectionState>((state, event) => nextConnection(state, event, policy, now, 0.5), IDLE)
}

describe('connection state', () => {
  it('is open after the welcome, and knows who it is', () => {
    expect(after([{ type: 'connect' }])).toMatchObject({ status: 'connecting', resumes: 0 })
    expect(after([{ type: 'connect' }, WELCOME])).toMatchObject({ status: 'open', user: 'ann', node: 'n1', resumes: 0 })
  })

  it('waits after a loss, and counts a resume when it is open again', () => {
    const waiting = after([{ type: 'connect' }, WELCOME, LOST])
    expect(waiting).toMatchObject({ status: 'waiting', attempt: 1, retryAt: 50 })
    expect(waiting.connection).toBeUndefined()
    expect(after([{ type: 'connect' }, WELCOME, LOST, { type: 'retry' }, WELCOME])).toMatchObject({
      status: 'open',
      resumes: 1,
    })
  })

  it('does not call the first connection a resume, however late it comes', () => {
    expect(after([{ type: 'connect' }, LOST, { type: 'retry' }, WELCOME]).resumes).toBe(0)
  })

  it.each([4400, 4401, 4403, 4408, 4413, 4429, 4499])('ends for good after close code %i', (code) => {
    const state = after([{ type: 'connect' }, WELCOME, { type: 'lost', code, reason: 'no' }])
    expect(state).toMatchObject({ status: 'closed', error: { code: 'disconnected', closeCode: code } })
    expect(nextConnection(state, { type: 'retry' }, POLICY, 0, 0)).toBe(state)
  })

  it('waits for a token, and no time, where it was turned away and that is asked for', () => {
    const turnedAway: ConnectionEvent = { type: 'lost', code: 4401, reason: 'the token is over', waits: true }
    const state = after([{ type: 'connect' }, WELCOME, turnedAway])
    expect(state).toMatchObject({ status: 'waiting', turnedAway: true, attempt: 0, error: { closeCode: 4401 } })
    expect(state.retryAt).toBeUndefined()
    const back = after([{ type: 'connect' }, WELCOME, turnedAway, { type: 'retry' }])
    expect(back.status).toBe('connecting')
    expect(back.turnedAway).toBeUndefined()
  })

  it.each([1000, 1001, 1006, 1012, 4500, 4503, 4508])('comes back after close code %i', (code) => {
    expect(after([{ type: 'connect' }, WELCOME, { type: 'lost', code, reason: '' }]).status).toBe('waiting')
  })

  it('gives up after as many failed attempts as it may make', () => {
    const policy = { ...POLICY, maxAttempts: 2 }
    const failing: ConnectionEvent[] = [LOST, { type: 'retry' }, LOST, { type: 'retry' }, LOST]
    expect(after([{ type: 'connect' }, ...failing.slice(0, 3)], 0, policy).status).toBe('waiting')
    expect(after([{ type: 'connect' }, ...failing], 0, policy).status).toBe('closed')
  })

  it('waits longer with each failure, up to a bound, and any time up to it is possible', () => {
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

  it('begins with a short wait again only after a connection that held', () => {
    const flapping = after([{ type: 'connect' }, LOST, { type: 'retry' }, LOST, { type: 'retry' }, WELCOME, LOST])
    expect(flapping.attempt).toBe(3)
    const open = after([{ type: 'connect' }, LOST, { type: 'retry' }, WELCOME])
    expect(nextConnection(open, LOST, POLICY, STABLE_MS, 0.5).attempt).toBe(1)
  })

  it('comes back when the node that goes away said, and not as after a failure', () => {
    const leaving = after([{ type: 'connect' }, WELCOME, { type: 'goaway', reconnectAfterMs: 700 }])
    expect(leaving).toMatchObject({ status: 'open', leaveAt: 700 })
    const gone = nextConnection(leaving, { type: 'lost', code: 4503, reason: '' }, POLICY, 10, 0.5)
    expect(gone).toMatchObject({ status: 'waiting', retryAt: 700, attempt: 0 })
  })

  it('heeds the first time that it was told to leave at', () => {
    const leaving = after([{ type: 'connect' }, WELCOME, { type: 'goaway', reconnectAfterMs: 700 }])
    expect(nextConnection(leaving, { type: 'goaway', reconnectAfterMs: 9_000 }, POLICY, 10, 0.5)).toBe(leaving)
  })

  it('tries another door soon, and counts no attempt for that', () => {
    const elsewhere: ConnectionEvent = { ...LOST, elsewhere: true }
    const policy = { ...POLICY, maxAttempts: 1 }
    const waiting = after([{ type: 'connect' }, LOST, { type: 'retry' }, elsewhere], 0, policy)
    expect(waiting).toMatchObject({ status: 'waiting', attempt: 1, retryAt: 50 })
    const refused: ConnectionEvent = { type: 'lost', code: 4401, reason: '', elsewhere: true }
    expect(after([{ type: 'connect' }, refused]).status).toBe('closed')
  })

  it('comes back not before the server asked it to', () => {
    const waiting = after([{ type: 'connect' }, { ...LOST, retryAfterMs: 2_000 }])
    expect(waiting.retryAt).toBeGreaterThanOrEqual(2_000)
  })

  it('stays open when it moves to another door, under its new name', () => {
    const moved = after([{ type: 'connect' }, WELCOME, { ...WELCOME, type: 'moved', connection: 'c2', node: 'n2' }])
    expect(moved).toMatchObject({ status: 'open', connection: 'c2', node: 'n2', opens: 1, resumes: 0 })
    const late = after([{ type: 'connect' }, { ...WELCOME, type: 'moved' }])
    expect(late.status).toBe('connecting')
  })

  it('pings a peer that is silent, and leaves one that does not answer', () => {
    expect(heartbeat(999, 1_000, undefined)).toEqual({ do: 'wait', nextMs: 1 })
    expect(heartbeat(1_000, 1_000, undefined)).toEqual({ do: 'ping', nextMs: 2_000 })
    expect(heartbeat(2_999, 1_000, 1_999)).toEqual({ do: 'wait', nextMs: 1 })
    expect(heartbeat(3_000, 1_000, 2_000)).toEqual({ do: 'leave', nextMs: 0 })
  })

  it('asks before it leaves, after a timer that fired much too late', () => {
    expect(heartbeat(3_600_000, 15_000, undefined)).toEqual({ do: 'ping', nextMs: 10_000 })
  })

  it('stays closed once it is closed', () => {
    const closed = after([{ type: 'connect' }, WELCOME, { type: 'close' }])
    for (const event of [WELCOME, LOST, { type: 'connect' }, { type: 'retry' }] as const) {
      expect(nextConnection(closed, event, POLICY, 0, 0)).toBe(closed)
    }
  })
})
