// DirectoryService: when it writes the summary of a session, and its content.
import { pino } from 'pino'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { StorageError } from '../../store/ports/errors.ts'
import type { SessionSummary } from '../../store/ports/session-directory.ts'
import type { SessionReplica } from '../session-replica.ts'
import { applyEntry } from '../state/apply-entry.ts'
import { EMPTY_SESSION, type SessionState } from '../state/session-state.ts'
import { DirectoryService } from './directory-service.ts'

const logger = pino({ enabled: false })
let summaries: SessionSummary[]
let forgotten: string[]
let failing: boolean
let now: number
let service: DirectoryService

beforeEach(() => {
  summaries = []
  forgotten = []
  failing = false
  now = 1_000
  const directory = {
    update: async (summary: SessionSummary) => {
      if (failing) throw new StorageError('unavailable')
      summaries.push(summary)
    },
    list: async () => [],
    forget: async (session: string) => void forgotten.push(session),
  }
  service = new DirectoryService({ directory, logger, now: () => now, gatherMs: 3_600_000 })
})

/** A growing session; each step is an entry. */
class Steps {
  state: SessionState = EMPTY_SESSION

  join(user: string, role: string): void {
    this.#apply({ type: 'member.joined', user, role })
  }

  leave(user: string): void {
    this.#apply({ type: 'member.left', user })
  }

  post(id: string): void {
    this.#apply({
      type: 'message',
      id,
      role: 'user',
      author: 'a',
      content: [],
      policy: 'queue',
      run: `r${id}`,
    })
  }

  rename(title: string): void {
    this.#apply({ type: 'session.updated', title })
  }

  visit(): void {
    service.visited({ id: 's', state: this.state } as SessionReplica)
  }

  #apply(event: Parameters<typeof applyEntry>[1]['event']): void {
    now += 1
    this.state = applyEntry(this.state, { seq: this.state.seq + 1, time: now, event })
  }
}

const roles = () => summaries.map(({ members }) => Object.fromEntries(members))

describe('the summaries of a session', () => {
  it('are batched: many visits give one summary of the newest state', async () => {
    const steps = new Steps()
    steps.join('ann', 'owner')
    for (let i = 0; i < 50; i += 1) {
      steps.post(`m${i}`)
      steps.visit()
    }
    await service.flush()
    expect(summaries).toMatchObject([{ session: 's', seq: 51, updatedAt: now }])
  })

  it('contain only the difference from the previous summary', async () => {
    const steps = new Steps()
    steps.join('ann', 'owner')
    steps.join('bob', 'viewer')
    for (const step of [
      () => undefined,
      () => steps.post('m'),
      () => steps.leave('bob'),
      () => steps.join('ann', 'editor'),
    ]) {
      step()
      steps.visit()
      await service.flush()
      steps.visit()
      await service.flush()
    }
    expect(roles()).toEqual([{ ann: 'owner', bob: 'viewer' }, {}, { bob: undefined }, { ann: 'editor' }])
  })

  it('are repeated at the next visit after a failure', async () => {
    const steps = new Steps()
    steps.join('ann', 'owner')
    steps.post('m')
    failing = true
    steps.visit()
    await service.flush()
    failing = false
    steps.visit()
    await service.flush()
    expect(roles()).toEqual([{ ann: 'owner' }])
  })

  it('are complete again after the session was forgotten, even during a write', async () => {
    const steps = new Steps()
    steps.join('ann', 'owner')
    steps.post('m')
    steps.visit()
    const flushing = service.flush()
    service.forget('s')
    await flushing
    steps.visit()
    await service.flush()
    expect(roles().at(-1)).toEqual({ ann: 'owner' })
  })

  // A node that learned of the deletion late left a row whose title was the first message.
  it('are removed again if the session was deleted before they were written', async () => {
    const steps = new Steps()
    steps.join('ann', 'owner')
    steps.post('m')
    const session = { id: 's', state: steps.state }
    service.visited(session)
    const flushing = service.flush()
    session.state = applyEntry(steps.state, { seq: 9, time: 9, event: { type: 'session.deleted', by: 'ann' } })
    await flushing
    expect([summaries.length, forgotten]).toEqual([1, ['s']])
  })

  it('do not exist for empty and deleted sessions', async () => {
    service.visited({ id: 's', state: EMPTY_SESSION } as SessionReplica)
    const state = applyEntry(EMPTY_SESSION, { seq: 1, time: 1, event: { type: 'session.deleted', by: 'a' } })
    service.visited({ id: 's', state } as SessionReplica)
    await service.flush()
    expect(summaries).toEqual([])
  })

  it('do not exist before a message, a title or a second member: opening a link lists nothing', async () => {
    const steps = new Steps()
    steps.join('ann', 'owner')
    steps.visit()
    await service.flush()
    expect(summaries).toEqual([])
    steps.post('m')
    steps.visit()
    await service.flush()
    expect(roles()).toEqual([{ ann: 'owner' }])
  })

  it('have the time of the first visit if there is no message, not the time of the write', async () => {
    const steps = new Steps()
    steps.join('ann', 'owner')
    steps.rename('Plans')
    steps.visit()
    const visitedAt = now
    now += 1_000
    await service.flush()
    expect(summaries).toMatchObject([{ createdAt: visitedAt, updatedAt: visitedAt }])
  })

  it('are written after the batching time', async () => {
    vi.useFakeTimers()
    try {
      const steps = new Steps()
      steps.join('ann', 'owner')
      steps.post('m')
      steps.visit()
      await vi.advanceTimersByTimeAsync(3_600_000)
      expect(summaries).toHaveLength(1)
    } finally {
      vi.useRealTimers()
    }
  })
})
