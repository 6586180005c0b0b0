// DirectoryService: how often, and what, it notes of the sessions of a node.
import { pino } from 'pino'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { StorageError } from '../../store/ports/errors.ts'
import type { SessionNote } from '../../store/ports/session-directory.ts'
import type { SessionReplica } from '../session-replica.ts'
import { fold } from '../state/apply-entry.ts'
import { EMPTY_SESSION, type SessionState } from '../state/session-state.ts'
import { DirectoryService } from './directory-service.ts'

const logger = pino({ enabled: false })
let notes: SessionNote[]
let failing: boolean
let now: number
let desk: DirectoryService

beforeEach(() => {
  notes = []
  failing = false
  now = 1_000
  const directory = {
    note: async (note: SessionNote) => {
      if (failing) throw new StorageError('unavailable')
      notes.push(note)
    },
    list: async () => [],
    forget: async () => undefined,
  }
  desk = new DirectoryService({ directory, logger, now: () => now, gatherMs: 3_600_000 })
})

/** A session as it comes to be; each step is an entry. */
class Steps {
  state: SessionState = EMPTY_SESSION

  join(user: string, role: string): void {
    this.#fold({ type: 'member.joined', user, role })
  }

  leave(user: string): void {
    this.#fold({ type: 'member.left', user })
  }

  say(id: string): void {
    this.#fold({
      type: 'message',
      id,
      role: 'user',
      author: 'a',
      content: [],
      policy: 'queue',
      run: `r${id}`,
    })
  }

  visit(): void {
    desk.visited({ id: 's', state: this.state } as SessionReplica)
  }

  #fold(event: Parameters<typeof fold>[1]['event']): void {
    now += 1
    this.state = fold(this.state, { seq: this.state.seq + 1, time: now, event })
  }
}

const roles = () => notes.map(({ members }) => Object.fromEntries(members))

describe('what a node notes of a session', () => {
  it('is gathered: many visits are one note, of the newest state', async () => {
    const steps = new Steps()
    steps.join('ann', 'owner')
    for (let i = 0; i < 50; i += 1) {
      steps.say(`m${i}`)
      steps.visit()
    }
    await desk.flush()
    expect(notes).toMatchObject([{ session: 's', seq: 51, updatedAt: now }])
  })

  it('is only what differs from the note before: nothing, activity, or who came and went', async () => {
    const steps = new Steps()
    steps.join('ann', 'owner')
    steps.join('bob', 'viewer')
    for (const step of [
      () => undefined,
      () => steps.say('m'),
      () => steps.leave('bob'),
      () => steps.join('ann', 'editor'),
    ]) {
      step()
      steps.visit()
      await desk.flush()
      steps.visit()
      await desk.flush()
    }
    expect(roles()).toEqual([{ ann: 'owner', bob: 'viewer' }, {}, { bob: undefined }, { ann: 'editor' }])
  })

  it('is made again by who comes next when it failed', async () => {
    const steps = new Steps()
    steps.join('ann', 'owner')
    failing = true
    steps.visit()
    await desk.flush()
    failing = false
    steps.visit()
    await desk.flush()
    expect(roles()).toEqual([{ ann: 'owner' }])
  })

  it('is all of it again once the session was forgotten, also in the midst of a note', async () => {
    const steps = new Steps()
    steps.join('ann', 'owner')
    steps.visit()
    const flushing = desk.flush()
    desk.forget('s')
    await flushing
    steps.visit()
    await desk.flush()
    expect(roles().at(-1)).toEqual({ ann: 'owner' })
  })

  it('is nothing of sessions that hold nothing, or were deleted', async () => {
    desk.visited({ id: 's', state: EMPTY_SESSION } as SessionReplica)
    const state = fold(EMPTY_SESSION, { seq: 1, time: 1, event: { type: 'session.deleted', by: 'a' } })
    desk.visited({ id: 's', state } as SessionReplica)
    await desk.flush()
    expect(notes).toEqual([])
  })

  it('comes by itself after the time for which it is gathered', async () => {
    vi.useFakeTimers()
    try {
      const steps = new Steps()
      steps.join('ann', 'owner')
      steps.visit()
      await vi.advanceTimersByTimeAsync(3_600_000)
      expect(notes).toHaveLength(1)
    } finally {
      vi.useRealTimers()
    }
  })
})
